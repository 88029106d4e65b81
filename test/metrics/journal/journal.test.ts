import { inspect } from 'node:util';
import { ContainerClient } from '@azure/storage-blob';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ConfigurationError, ConflictError } from '../../../src/errors.ts';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';
import { Journal } from '../../../src/metrics/journal/journal.ts';
import { type JournalEntry, ticketOf } from '../../../src/metrics/journal/journal-entry.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { createWorld, record } from '../metrics-world.ts';

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

const entry = (runId: string, tokensIn = 0): JournalEntry => {
  const value = record({ runId, tokensIn });
  return { id: campaignMetricsId(value), acceptedAt: '2026-11-21T10:00:00.000Z', record: value };
};

test('keeps entries in the order of arrival and finds each by its ticket', async () => {
  const { journal } = createWorld(azurite).services;
  expect((await journal.progress()).pending).toBe(false);
  const places = (
    await Promise.all([0, 1, 2, 3].map((n) => journal.append([entry(`a${n}`), entry(`b${n}`)])))
  ).flat();
  const { entries, next } = await journal.read({ generation: 1, offset: 0 }, 1 << 20);
  expect(entries.map((e) => e.record.runId)).toEqual(['a0', 'b0', 'a1', 'b1', 'a2', 'b2', 'a3', 'b3']);
  expect(entries.map((e) => e.position)).toEqual(places);
  for (const [index, place] of places.entries()) {
    expect((await journal.find(ticketOf(place)))?.record.runId).toBe(entries[index]!.record.runId);
  }
  expect(await journal.find('1-3')).toBeUndefined();
  expect(await journal.find('9-0')).toBeUndefined();
  expect(await journal.find('x')).toBeUndefined();
  expect((await journal.read(next, 1 << 20)).entries).toEqual([]);
  expect((await journal.progress()).pending).toBe(true);
  const lease = await journal.lease();
  await lease!.change(next);
  expect((await journal.progress()).pending).toBe(false);
  await lease!.release();
});

test('finds nothing in storage that was never written to', async () => {
  const { journal } = createWorld(azurite).services;
  expect(await journal.find('1-0')).toBeUndefined();
  await journal.removeWritten(new Date());
});

test('reads whole lines only, window by window', async () => {
  const { journal } = createWorld(azurite).services;
  await journal.append(Array.from({ length: 20 }, (_, n) => entry(`r${n}`)));
  const runs: string[] = [];
  let from = { generation: 1, offset: 0 };
  for (;;) {
    const { entries, next } = await journal.read(from, 1_000);
    if (entries.length === 0) break;
    runs.push(...entries.map((e) => e.record.runId));
    from = next;
  }
  expect(runs).toEqual(Array.from({ length: 20 }, (_, n) => `r${n}`));
});

test('begins a new blob when one is full, and all instances agree which', async () => {
  const world = createWorld(azurite, { sealAt: 2_000 });
  const instances = [world.services.journal, world.another().journal, world.another().journal];
  for (let n = 0; n < 30; n += 1) await instances[n % 3]!.append([entry(`r${n}`)]);
  const runs: string[] = [];
  let from = { generation: 1, offset: 0 };
  for (;;) {
    const { entries, next } = await world.another().journal.read(from, 1 << 20);
    if (entries.length === 0 && next.generation === from.generation) break;
    runs.push(...entries.map((e) => e.record.runId));
    from = next;
  }
  expect(from.generation).toBeGreaterThan(3);
  expect(runs).toEqual(Array.from({ length: 30 }, (_, n) => `r${n}`));
  // An instance that starts now, or that was idle since the first blob, agrees with the others.
  for (const journal of [...instances, world.another().journal]) {
    expect((await journal.progress()).pending).toBe(true);
  }
  const lease = await instances[0]!.lease();
  await lease!.change(from);
  await lease!.release();
  for (const journal of [...instances, world.another().journal]) {
    expect((await journal.progress()).pending).toBe(false);
  }
});

test('an instance that was idle while its blob was deleted appends to the newest', async () => {
  const world = createWorld(azurite, { sealAt: 500 });
  const idle = world.another().journal;
  await idle.append([entry('first')]);
  const { journal } = world.services;
  for (let n = 0; n < 8; n += 1) await journal.append([entry(`r${n}`)]);
  const lease = (await journal.lease())!;
  await lease.change({ generation: 4, offset: 0 });
  await journal.removeWritten(new Date(Date.now() + 60_000));
  await lease.release();
  const [place] = await idle.append([entry('after')]);
  expect(place!.generation).toBeGreaterThanOrEqual(4);
  expect(await journal.find('1-0')).toBeUndefined();
});

test('continues with new entries after somebody deleted its blobs under a running app', async () => {
  const world = createWorld(azurite, { sealAt: 500 });
  const { journal } = world.services;
  for (let n = 0; n < 8; n += 1) await journal.append([entry(`r${n}`)]);
  const lease = (await journal.lease())!;
  await lease.change({ generation: 4, offset: 0 });
  await lease.release();
  for await (const blob of world.container.listBlobsFlat()) await world.container.deleteBlob(blob.name);
  const [place] = await journal.append([entry('after')]);
  expect((await journal.progress()).pending).toBe(true);
  const jump = await journal.read(await journal.state(), 1 << 20);
  expect(jump).toEqual({ entries: [], next: { generation: place!.generation, offset: 0 } });
  expect((await journal.read(jump.next, 1 << 20)).entries[0]!.record.runId).toBe('after');
});

test('grants the lease to one holder at a time and rejects changes from all others', async () => {
  const world = createWorld(azurite);
  const [first, second] = await Promise.all([
    world.services.journal.lease(),
    world.another().journal.lease(),
  ]);
  expect([first, second].filter(Boolean)).toHaveLength(1);
  const holder = (first ?? second)!;
  await holder.change({ offset: 10 });
  await holder.release();
  const next = (await world.another().journal.lease())!;
  expect(next.state.offset).toBe(10);
  await expect(holder.change({ offset: 5 })).rejects.toThrow(ConflictError);
  expect(holder.lost.aborted).toBe(true);
  expect((await world.services.journal.state()).offset).toBe(10);
  await next.release();
});

test('errors hold neither the address nor the headers of the request', async () => {
  const url = `http://127.0.0.1:${azurite.blobPort}/devstoreaccount1/work?sv=2024-11-04&sig=secret`;
  const journal = new Journal(new ContainerClient(url));
  const requests = [() => journal.append([entry('a')]), () => journal.progress(), () => journal.lease()];
  for (const request of requests) {
    const error = await request().then(
      () => undefined,
      (reason: unknown) => reason as ConfigurationError,
    );
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error!.cause).not.toHaveProperty('request');
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('secret');
  }
});

test('knows the rows that are not written yet, and reads only the lines that are new', async () => {
  const world = createWorld(azurite, { sealAt: 20_000 });
  const { journal } = world.services;
  const other = world.another().journal;
  const id = (n: number) => entry(`r${n}`).id;
  const read = vi.spyOn(journal, 'read');
  /** Which of the first ten rows are pending. */
  const pending = async () => {
    const isPending = await journal.pendingRows(await journal.progress());
    return Array.from({ length: 10 }, (_, n) => n).filter((n) => isPending(id(n)));
  };
  expect(await pending()).toEqual([]);
  const places = await journal.append([entry('r0'), entry('r1'), entry('r2')]);
  expect(await pending()).toEqual([0, 1, 2]);
  const [fourth] = await other.append([entry('r3')]);
  expect(await Promise.all([pending(), pending()])).toEqual(Array(2).fill([0, 1, 2, 3]));
  expect(read.mock.calls.map(([from]) => from.offset)).toEqual([0, fourth!.offset, fourth!.offset]);
  read.mockClear();
  const lease = (await journal.lease())!;
  await lease.change(places[2]!);
  expect(await pending()).toEqual([2, 3]);
  await other.append([entry('r0', 1)]);
  expect(await pending()).toEqual([0, 2, 3]);
  expect(read).toHaveBeenCalledTimes(1);
  await lease.change((await journal.read(places[2]!, 1 << 20)).next);
  expect(await pending()).toEqual([]);
  await other.append([entry('r5')]);
  expect(await pending()).toEqual([5]);
  // A blob is full and the next one begins: more than one read would be necessary, so every row counts.
  for (let n = 0; n < 60; n += 1) await other.append([entry('r6', n)]);
  expect((await journal.progress()).end.generation).toBe(2);
  expect(await pending()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  await lease.change({ generation: 2, offset: 0 });
  expect(await pending()).toEqual([6]);
  await lease.release();
});
