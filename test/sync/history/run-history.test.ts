import { HttpRequest, type InvocationContext } from '@azure/functions';
import { afterEach, describe, expect, it } from 'vitest';
import { SyncError } from '../../../src/errors.ts';
import { serve } from '../../../src/http/handler.ts';
import { syncResource } from '../../../src/http/sync/sync-resource.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import { historyText, parseHistoryLine } from '../../../src/sync/history/history-line.ts';
import { deleteOldHistory, readHistory } from '../../../src/sync/history/run-history.ts';
import { resumeEnd } from '../../../src/sync/run/end-run.ts';
import { memoryStorage } from '../memory-storage.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation | undefined;
afterEach(async () => {
  await org?.stop();
  org = undefined;
});

const longAgo = new Date(0);

describe('the history', () => {
  it('has a line for each run, with what it changed', async () => {
    org = await Organisation.start(['account', 'lead', 'contact']);
    const { services } = org.harness;
    org.rows('account', 5);
    org.store.deniedPrivileges.add('prvReadcontact');
    const first = await org.sync();
    const idle = await org.sync();
    org.store.create('account', {});
    const third = await org.sync();
    const { runs } = await readHistory(services, { since: longAgo });
    expect(runs.map(({ runId }) => runId)).toEqual([third, idle, first].map(({ runId }) => runId));
    expect(runs[2]).toMatchObject({
      ...{ phase: 'complete', tables: 3, failed: 1, added: 5, rowsRead: 5 },
      ...{ startedAt: first.startedAt, finishedAt: first.finishedAt, databaseBytes: first.databaseBytes },
      changed: { account: { added: 5, rows: 5 }, contact: { error: expect.stringContaining('contact') } },
    });
    // The table that failed is the only one to tell of.
    expect(Object.keys(runs[1]!.changed ?? {})).toEqual(['contact']);
    expect(runs[1]!.added).toBeUndefined();
    expect(runs[0]).toMatchObject({ added: 1, rows: 6, changed: { account: { added: 1, rows: 6 } } });
  });

  it('counts a merged table with an error as the log and the report of the run do', async () => {
    org = await Organisation.start(['account']);
    const ids = org.rows('account', 30);
    await org.sync();
    for (const id of ids.slice(0, 20)) org.store.delete('account', id);
    const { runId, totals, entities } = await org.sync();
    expect(entities[0]).toMatchObject({ state: 'merged', error: expect.stringContaining('20 of 30 rows') });
    const { runs } = await readHistory(org.harness.services, { since: longAgo });
    const end = org.harness.log.findLast(({ message }) => message === `Run ${runId} is complete.`);
    expect([runs[0]!.failed, end?.properties?.['failed'], totals.failed]).toEqual([1, 1, 1]);
  });

  it('is no reason for a run to fail', async () => {
    org = await Organisation.start(['account']);
    const { published } = org.harness.services;
    published.append = async () => {
      throw new SyncError('the disk is full');
    };
    expect(await org.sync()).toMatchObject({ phase: 'complete' });
    const warning = org.harness.log.find(({ message }) => /could not be added to the history/.test(message));
    expect(warning).toMatchObject({ level: 'warn', message: expect.stringContaining('the disk is full') });
  });

  it('has a run once whose end was repeated', async () => {
    org = await Organisation.start(['account']);
    const { services } = org.harness;
    const { runId } = await org.sync();
    // As after a death between the announcement and its note.
    const report = (await services.work.read<object>(paths.run(runId)))!;
    await services.work.put(paths.run(runId), { ...report.value, announced: undefined });
    const active = { runId, format: 3, startedAt: new Date().toISOString(), resumptions: 0 };
    await services.work.put(paths.active, active);
    expect(await resumeEnd(services, runId, { isDead: true })).toBe(true);
    const day = services.now().toISOString().slice(0, 10);
    const text = (await services.published.getBytes(`history/${day}.jsonl`))!.toString();
    expect(text.trim().split('\n')).toHaveLength(2);
    expect((await readHistory(services, { since: longAgo })).runs).toHaveLength(1);
  });

  it('goes over days, and reads no more than it needs', async () => {
    const { published } = memoryStorage();
    const at = Date.UTC(2026, 10, 20);
    const now = () => new Date(at);
    const line = (n: number) => {
      const finishedAt = new Date(at - n * 3_600_000).toISOString();
      return { runId: `r${n}`, trigger: 'timer', phase: 'complete', startedAt: finishedAt, finishedAt };
    };
    for (let n = 2000; n >= 0; n--) {
      const one = line(n);
      await published.append(`history/${one.finishedAt.slice(0, 10)}.jsonl`, `${JSON.stringify(one)}\n`);
    }
    // What another program wrote, or a process that died.
    await published.append('history/2026-11-20.jsonl', '{"runId":"half\nnull\n[]\n{"runId":"../x"}\n');
    const week = await readHistory({ published, now }, { since: new Date(at - 7 * 86_400_000) });
    expect(week.runs.map(({ runId }) => runId)).toEqual(Array.from({ length: 169 }, (_, n) => `r${n}`));
    const all = await readHistory({ published, now }, { since: longAgo });
    expect(all.runs).toHaveLength(2001);
    let read = 0;
    const readEnd = published.readEnd.bind(published);
    published.readEnd = async (name, bytes) => {
      const found = await readEnd(name, bytes);
      read += found?.length ?? 0;
      return found;
    };
    const latest = await readHistory({ published, now }, { since: longAgo, limit: 48 });
    expect(latest.runs.length).toBeGreaterThanOrEqual(48);
    expect(latest.runs[0]!.runId).toBe('r0');
    // All runs from then on are there.
    expect(latest.runs.at(-1)!.finishedAt).toBe(latest.since);
    expect(read).toBeLessThan(100_000);
    // A reader that looks again reads what is not over yet.
    read = 0;
    const again = await readHistory({ published, now }, { since: longAgo, limit: 480 });
    expect(again.runs.length).toBeGreaterThanOrEqual(480);
    expect(read).toBeLessThan(15_000);
  });

  it('says from when on all runs are there, never earlier than asked', async () => {
    const { published } = memoryStorage();
    const at = Date.UTC(2026, 10, 20, 23);
    for (let n = 120; n >= 0; n--) {
      const finishedAt = new Date(at - n * 600_000).toISOString();
      const line = { runId: `r${n}`, trigger: 'timer', phase: 'complete', startedAt: finishedAt, finishedAt };
      await published.append(`history/${finishedAt.slice(0, 10)}.jsonl`, `${JSON.stringify(line)}\n`);
    }
    const since = new Date(at - 11 * 3_600_000);
    const found = await readHistory({ published, now: () => new Date(at) }, { since, limit: 48 });
    expect(found.runs).toHaveLength(67);
    expect(found.since).toBe(since.toISOString());
  });

  it('has runs of a webhook, and of words that a later version may use', () => {
    const at = '2026-11-21T02:00:00Z';
    for (const trigger of ['changes', 'something new']) {
      const run = {
        runId: 'r',
        trigger,
        phase: 'complete',
        startedAt: at,
        finishedAt: at,
        tables: ['account'],
      };
      expect(parseHistoryLine(historyText(run as never))).toMatchObject({ trigger, only: ['account'] });
    }
  });

  it('has a line of limited length for a run in which everything fails', async () => {
    const { published } = memoryStorage();
    const at = '2026-11-21T02:00:00.000Z';
    const text = 'é'.repeat(500);
    const entities = Array.from({ length: 300 }, (_, n) => ({
      ...{ name: `new_table_${n}`, strategy: 'delta', state: 'failed', error: text, reread: text },
      ...{ rowsRead: 0, pages: 0, requests: 1, retries: 0, bytes: 0, seconds: 0 },
      ...{ added: 0, updated: 0, deleted: 0, unchanged: 0 },
    }));
    const run = { runId: 'r', trigger: 'timer', phase: 'complete', startedAt: at, finishedAt: at, entities };
    const line = historyText(run as never);
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(16_384);
    expect(parseHistoryLine(line)).toMatchObject({ tables: 300, failed: 300 });
    for (let n = 0; n < 3; n++) await published.append('history/2026-11-21.jsonl', `${line}\n`);
    const now = () => new Date('2026-11-21T03:00:00Z');
    expect((await readHistory({ published, now }, { since: longAgo, limit: 1 })).runs).toHaveLength(1);
    // Of another program: nothing is known of what is before it.
    await published.append('history/2026-11-21.jsonl', 'x'.repeat(300_000));
    const cut = await readHistory({ published, now }, { since: longAgo, limit: 1 });
    expect(cut).toEqual({ since: now().toISOString(), runs: [] });
  });

  it('that cannot be deleted does not fail a run', async () => {
    org = await Organisation.start(['account'], {}, { SYNC_KEEP_RUNS: '5' });
    const { published } = org.harness.services;
    const list = published.list.bind(published);
    published.list = (prefix) => {
      if (prefix.startsWith('history')) throw new SyncError('not allowed');
      return list(prefix);
    };
    for (let n = 0; n < 8; n++) {
      org.store.create('account', {});
      await org.sync();
    }
    const errors = org.harness.log.filter(({ level }) => level === 'error');
    expect(errors).toEqual([]);
  });

  it('is kept for thirteen months', async () => {
    const { published } = memoryStorage();
    const names = ['2025-09-30', '2025-10-01', '2025-11-02', '2026-11-30', 'else'].map(
      (name) => `history/${name}.jsonl`,
    );
    for (const name of names) await published.append(name, '{}\n');
    for (const month of ['2025-09', '2025-10']) await published.put(`history/${month}.json`, {});
    await deleteOldHistory({ published, now: () => new Date('2026-11-30T23:00:00Z') });
    const left: string[] = [];
    for await (const { name } of published.list('')) left.push(name);
    expect(left).toEqual([...names.slice(1), 'history/2025-10.json'].sort());
  });

  it('is served, and says what is wrong with days', async () => {
    org = await Organisation.start(['account']);
    const { runId } = await org.sync();
    const { services } = org.harness;
    const get = async (query: string) => {
      const url = `http://127.0.0.1:7071/api/sync/history${query}`;
      const request = new HttpRequest({ method: 'GET', url, params: { runId: 'history' } });
      const context = { invocationId: 'i', warn: () => {}, error: () => {} } as unknown as InvocationContext;
      const { handler } = serve(() => services, syncResource);
      const answer = (await handler(request, context)) as { status?: number; body: string };
      return { status: answer.status ?? 200, body: JSON.parse(answer.body) };
    };
    expect(await get('')).toMatchObject({ status: 200, body: { runs: [{ runId }] } });
    for (const query of ['?days=0', '?days=401', '?days=x', '?days=', '?days=1e1'])
      expect(await get(query)).toMatchObject({
        status: 400,
        body: { detail: expect.stringContaining('days') },
      });
  });
});
