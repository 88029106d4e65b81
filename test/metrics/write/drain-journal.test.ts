import { afterAll, beforeAll, expect, test } from 'vitest';
import { RetriableError } from '../../../src/errors.ts';
import type { CampaignMetrics } from '../../../src/metrics/contract/campaign-metrics-fields.ts';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';
import type { PoisonRecord } from '../../../src/metrics/journal/poison-records.ts';
import { acceptRecords } from '../../../src/metrics/write/accept-records.ts';
import { drainJournal } from '../../../src/metrics/write/drain-journal.ts';
import { replayPoison } from '../../../src/metrics/write/replay-poison.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { createWorld, record } from '../metrics-world.ts';

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

const numbered = (count: number, more: Partial<CampaignMetrics> = {}) =>
  Array.from({ length: count }, (_, n) => record({ runId: `run-${n}`, ...more }));

test('writes 10,000 queued records in ten bulk writes', async () => {
  const { services, table } = createWorld(azurite);
  for (let i = 0; i < 10; i += 1) {
    const accepted = await acceptRecords(services, numbered(1000, { campaignId: `c${i}` }), true);
    expect(accepted.every((item) => item.outcome === 'queued')).toBe(true);
  }
  expect(await drainJournal(services)).toEqual({ written: 10_000, refused: 0 });
  expect(table.rows.size).toBe(10_000);
  expect(table.bulks.length).toBeLessThan(20);
  expect((await services.journal.progress()).pending).toBe(false);
});

test('of one row only the last value is written, also by several instances at once', async () => {
  const { services, table, another } = createWorld(azurite, { settings: { bulkSize: 7 } });
  for (let tokensIn = 1; tokensIn <= 5; tokensIn += 1) {
    await acceptRecords(services, numbered(50, { tokensIn }), true);
  }
  await Promise.all([drainJournal(services), drainJournal(another()), drainJournal(another())]);
  expect([...table.rows.values()].map((row) => row.tokensIn)).toEqual(Array(50).fill(5));
});

test('a value is never overwritten by an older one that was queued before it', async () => {
  // After a failure all records are queued for a fifth of this time, at most a second.
  const { services, table } = createWorld(azurite, { settings: { writeTimeoutMs: 5_000 } });
  table.faults = ['done but lost'];
  const [first] = await acceptRecords(services, [record({ tokensIn: 1 })], false);
  expect(first!.outcome).toBe('queued');
  const [second] = await acceptRecords(services, [record({ tokensIn: 2 })], false);
  expect(second!.outcome).toBe('queued');
  await drainJournal(services);
  expect([...table.rows.values()]).toEqual([record({ tokensIn: 2 })]);
  const [third] = await acceptRecords(services, [record({ tokensIn: 3 })], false);
  await drainJournal(services);
  expect(third!.outcome === 'queued' || third!.outcome === 'updated').toBe(true);
  expect([...table.rows.values()]).toEqual([record({ tokensIn: 3 })]);
});

test('a row with a queued value is queued again although it is written directly, too', async () => {
  const { services, table, another } = createWorld(azurite);
  await acceptRecords(services, [record({ tokensIn: 1 })], true);
  const [direct] = await acceptRecords(another(), [record({ tokensIn: 2 })], false);
  expect(direct!.outcome).toBe('created');
  expect([...table.rows.values()]).toEqual([record({ tokensIn: 2 })]);
  await drainJournal(services);
  expect([...table.rows.values()]).toEqual([record({ tokensIn: 2 })]);
});

test('rows without a queued value are only written directly while others are queued', async () => {
  const { services, table, another } = createWorld(azurite);
  const other = another();
  for (let n = 0; n < 3; n += 1) {
    await acceptRecords(services, numbered(20, { campaignId: `c${n}` }), true);
    const [direct] = await acceptRecords(other, [record({ runId: `direct-${n}` })], false);
    expect(direct!.outcome).toBe('created');
    const [again] = await acceptRecords(other, [record({ campaignId: `c${n}`, runId: 'run-7' })], false);
    expect(again!.outcome).toBe('created');
  }
  expect(await drainJournal(services)).toEqual({ written: 60, refused: 0 });
  const { entries } = await services.journal.read({ generation: 1, offset: 0 }, 1 << 20);
  expect(entries.length).toBe(63);
  const [later] = await acceptRecords(other, [record({ campaignId: 'c1', runId: 'run-7' })], false);
  expect(later!.outcome).toBe('updated');
  expect((await services.journal.progress()).pending).toBe(false);
  expect(table.rows.size).toBe(63);
});

test('retries while Dataverse fails: nothing is lost, nothing becomes poison', async () => {
  const { services, table } = createWorld(azurite, { settings: { bulkSize: 20 } });
  await acceptRecords(services, numbered(100), true);
  table.faults = ['busy', 'done but lost', 'busy'];
  await drainJournal(services);
  expect(table.rows.size).toBe(100);
  expect((await services.poison.ids()).size).toBe(0);
});

test('a long outage ends the drain with a scheduled message, and other drains do not write', async () => {
  const { services, table, queue } = createWorld(azurite);
  await acceptRecords(services, numbered(3), true);
  table.random = () => 'busy';
  // The next pause takes four seconds, which the drain sleeps. The one after it is too long.
  const lease = (await services.journal.lease())!;
  await lease.change({ failures: 3 });
  await lease.release();
  const before = table.bulks.length;
  const report = await drainJournal(services, { budgetMs: 20_000 });
  expect(table.bulks.length - before).toBe(2);
  expect(report.stopped).toBe('waiting for Dataverse');
  const bulks = table.bulks.length;
  expect((await drainJournal(services)).stopped).toBe('waiting for Dataverse');
  expect(table.bulks.length).toBe(bulks);
  expect((await queue.getProperties()).approximateMessagesCount).toBeGreaterThan(0);
});

test('a rejected value becomes poison, the value before it is written, a newer one removes it', async () => {
  const { services, table, logged, another } = createWorld(azurite);
  const id = campaignMetricsId(record());
  table.refuses = (value) => value.tokensIn === 2 || value.campaignId === 'bad';
  await acceptRecords(services, [record({ tokensIn: 1 }), ...numbered(5, { campaignId: 'c' })], true);
  await acceptRecords(services, [record({ tokensIn: 2 }), record({ campaignId: 'bad' })], true);
  const report = await drainJournal(services);
  expect(report).toEqual({ written: 6, refused: 2 });
  expect(table.rows.get(id)).toEqual(record({ tokensIn: 1 }));
  const bad = campaignMetricsId(record({ campaignId: 'bad' }));
  expect(await services.poison.ids()).toEqual(new Set([id, bad]));
  expect((await services.journal.state()).poison).toBe(2);
  expect(
    logged.filter((entry) => entry.level === 'error' && entry.message.includes('rejected')),
  ).toHaveLength(2);
  table.refuses = () => false;
  // A direct write of a row with a poison record is also queued: the drain removes the poison record.
  const [direct] = await acceptRecords(another(), [record({ campaignId: 'bad', tokensIn: 9 })], false);
  expect(direct!.outcome).toBe('created');
  await drainJournal(services);
  expect(table.rows.get(bad)?.tokensIn).toBe(9);
  expect(await services.poison.ids()).toEqual(new Set([id]));
  expect((await services.journal.state()).poison).toBe(1);
});

test('a crash after a poison record was stored leaves none that a replay could write over a newer value', async () => {
  const { services, table, another } = createWorld(azurite);
  const id = campaignMetricsId(record());
  table.refuses = (value) => value.tokensIn === 1;
  await acceptRecords(services, [record({ tokensIn: 1 })], true);
  // The process ends after the poison record is stored and before the position is.
  const poison = another().poison;
  poison.put = async (rejected: PoisonRecord) => {
    await services.poison.put(rejected);
    throw new RetriableError('the process ends');
  };
  await expect(drainJournal({ ...services, poison })).rejects.toThrow('the process ends');
  expect(await services.poison.ids()).toEqual(new Set([id]));
  await acceptRecords(another(), [record({ tokensIn: 2 })], true);
  await drainJournal(services);
  expect(await services.poison.ids()).toEqual(new Set());
  table.refuses = () => false;
  await replayPoison(services);
  await drainJournal(services);
  expect(table.rows.get(id)?.tokensIn).toBe(2);
});

test('a storage fault fails the drain, and is not taken for a fault of Dataverse', async () => {
  const { services, table, logged } = createWorld(azurite);
  table.refuses = () => true;
  await acceptRecords(services, [record()], true);
  const poison = Object.assign(Object.create(services.poison) as typeof services.poison, {
    ids: () => Promise.reject(new RetriableError('storage is down')),
  });
  await expect(drainJournal({ ...services, poison })).rejects.toThrow('storage is down');
  expect(logged).toEqual([]);
  expect((await services.journal.state()).failures).toBe(0);
  expect(await drainJournal(services)).toEqual({ written: 0, refused: 1 });
});

test('ends when somebody has deleted the blobs of the journal under a running app', async () => {
  const { services, container } = createWorld(azurite, { sealAt: 500 });
  for (let n = 0; n < 5; n += 1) await acceptRecords(services, [record({ tokensIn: n })], true);
  for await (const { name } of container.listBlobsFlat()) await container.deleteBlob(name);
  expect(await drainJournal(services, { budgetMs: 3_000 })).toEqual({ written: 0, refused: 0 });
});
