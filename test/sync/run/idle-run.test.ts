import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { SyncError } from '../../../src/errors.ts';
import { Shard } from '../../../src/sqlite/shard.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import type { RunDocument } from '../../../src/sync/documents/run.ts';
import { runStatus, syncStatus } from '../../../src/sync/run/run-status.ts';
import { sampleOf } from '../../long.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => {
  vi.restoreAllMocks();
  return org.stop();
});

const { entities: sampleTables } = JSON.parse(
  readFileSync(new URL('../../../entities.json', import.meta.url), 'utf8'),
) as { entities: string[] };

/** All calls of the storage that are requests of Blob storage, as `method name`; a deleted prefix counts as a listing. */
function countBlobCalls(): string[] {
  const calls: string[] = [];
  const { work, published, databaseFile } = org.harness.storage;
  for (const store of [work, published, databaseFile] as unknown as Record<string, unknown>[]) {
    for (let at = store as object; at !== Object.prototype; at = Object.getPrototypeOf(at) as object) {
      for (const method of Object.getOwnPropertyNames(at)) {
        if (method === 'constructor' || typeof store[method] !== 'function' || Object.hasOwn(store, method))
          continue;
        const real = (store[method] as (...args: unknown[]) => unknown).bind(store);
        store[method] = (...args: unknown[]) => {
          calls.push(`${method} ${String(args[0])}`);
          return real(...args);
        };
      }
    }
  }
  return calls;
}

/** The messages that are sent from now on, by queue. */
function countMessages(): Record<'plan' | 'fetch' | 'merge', number> {
  const { services } = org.harness;
  const counts = { plan: 0, fetch: 0, merge: 0 };
  const { sendPlan, sendFetch, sendMerge } = services;
  const counting =
    <Args extends unknown[]>(queue: keyof typeof counts, send: (...args: Args) => Promise<void>) =>
    (...args: Args) => {
      counts[queue] += 1;
      return send(...args);
    };
  services.sendPlan = counting('plan', sendPlan);
  services.sendFetch = counting('fetch', sendFetch);
  services.sendMerge = counting('merge', sendMerge);
  return counts;
}

/** The events that are sent from now on: name, properties and figures. */
function listenToEvents(): { name: string; phase?: string; table?: string; requests?: number }[] {
  const events: { name: string }[] = [];
  Object.assign(org.harness.services.telemetry, {
    event: (name: string, properties: object, figures: object) =>
      void events.push({ name, ...properties, ...figures }),
  });
  return events;
}

/** The timer's next tick, a minute later. */
function tick(): Promise<{ runId: string; outcome: string }> {
  org.clock.now += 60_000;
  return org.harness.startUnplanned({ trigger: 'timer' });
}

describe('a run in which no table changed', () => {
  it('costs one request per table and two more, no message and nine blob calls, for the 21 tables of the sample', async () => {
    org = await Organisation.start(sampleTables, { rows: 300 }, { SYNC_RECONCILE_EVERY: '1h' });
    // The second run reads for the first time what each run reads, and the third one what the schema report is made from.
    for (let n = 0; n < 3; n++) await org.sync();
    const calls = countBlobCalls();
    const messages = countMessages();
    const events = listenToEvents();
    const shards = vi.spyOn(Shard, 'create');
    for (const isWarm of [false, true]) {
      if (!isWarm) org.harness.restarted();
      calls.length = 0;
      events.length = 0;
      shards.mockClear();
      const before = org.dataverse.stats.requests;
      const { runId, outcome } = await tick();
      expect(outcome).toBe('started');
      // For the version of the metadata, and for the rows of the tables without change tracking.
      expect(org.dataverse.stats.requests - before).toBe(sampleTables.length + 2);
      expect(messages).toEqual({ plan: 0, fetch: 0, merge: 0 });
      const cold = ['read state-tables/', 'read catalogs/'];
      expect(calls.map((call) => call.replace(/[\w-]+\.jsonl?$|undefined$/, '').replace(runId, ''))).toEqual([
        'create ',
        'read ',
        'currentEtag ',
        ...(isWarm ? [] : cold),
        'replaceIfUnchanged ',
        'create runs//',
        'append history/',
        'deleteIfUnchanged ',
      ]);
      const status = (await runStatus(org.harness.services, runId))!;
      expect(status).toMatchObject({ phase: 'complete', rounds: 1, trigger: 'timer' });
      expect(status.entities.map(({ name }) => name)).toEqual(sampleTables);
      expect(
        status.entities.every(({ state, pages, requests }) => state === 'merged' && pages + requests === 2),
      ).toBe(true);
      expect(events.filter(({ name }) => name === 'SliceFetched')).toHaveLength(sampleTables.length);
      expect(events.filter(({ name }) => name === 'RunEnded')).toMatchObject([
        { phase: 'complete', requests: sampleTables.length },
      ]);
      // Ten tables have rows to compare with those of the last run. Empty pages need no shard.
      expect(shards.mock.calls.length).toBe(10);
      // By the status alone.
      expect((await syncStatus(org.harness.services)).active).toBeNull();
    }
    // Two of the tables change: one message merges what is read already, and leaves the others as they are.
    org.store.create('account', { name: 'new' });
    org.store.create('lead', { subject: 'new' });
    const before = org.dataverse.stats.requests;
    const { runId } = await tick();
    expect(org.dataverse.stats.requests - before).toBe(sampleTables.length + 2);
    expect(messages).toEqual({ plan: 0, fetch: 0, merge: 1 });
    await org.harness.drain();
    expect(messages).toEqual({ plan: 0, fetch: 0, merge: 1 });
    const { totals } = (await runStatus(org.harness.services, runId))!;
    expect(totals).toMatchObject({ added: 2, updated: 0, deleted: 0, failed: 0 });
    await org.expectMirror('account', 'lead', 'accountleads', 'new_shipmentline', 'task', 'team');
    const log = await org.query(`SELECT reason, requests FROM _sync_log WHERE reason LIKE '%runs)'`);
    expect(log).toEqual([{ reason: '21 tables without changes (4 runs)', requests: 4 * 21 }]);
  });

  it('advances the cursors, so that changes after it are found', async () => {
    org = await Organisation.start(
      ['account', 'lead', 'accountleads', { name: 'systemuser', filtered: true }],
      { rows: 100 },
      { SYNC_RECONCILE_EVERY: '1h' },
    );
    for (let n = 0; n < 2; n++) await org.sync();
    const { services } = org.harness;
    const syncedAt = async () => (await services.mirror.lastState())!.entities['account']!.syncedAt;
    const before = await syncedAt();
    await tick();
    expect((await syncedAt()) > before).toBe(true);
    org.store.update('account', [...org.store.rowsOf(org.store.table('account')).all()][3]!.id, {
      name: 'new',
    });
    await org.sync({ trigger: 'timer' });
    await org.expectMirror('account', 'lead', 'accountleads');
  });

  it('is shown while it runs, and not started twice', async () => {
    org = await Organisation.start(['account'], { rows: 20 });
    await org.sync();
    const { services } = org.harness;
    const { loadState } = services.mirror;
    const seen: unknown[] = [];
    services.mirror.loadState = async () => {
      services.mirror.loadState = loadState;
      const { active } = await syncStatus(services);
      seen.push(active?.phase, active?.trigger, (await org.harness.startUnplanned()).outcome);
      return loadState.call(services.mirror);
    };
    const { runId } = await tick();
    expect(seen).toEqual(['planning', 'timer', 'live']);
    expect(await runStatus(services, runId)).toMatchObject({ phase: 'complete' });
  });

  it('ends in the plan message if a person started it', async () => {
    org = await Organisation.start(['account', 'lead'], { rows: 20 }, { SYNC_RECONCILE_EVERY: '1h' });
    for (let n = 0; n < 2; n++) await org.sync();
    const messages = countMessages();
    const status = await org.sync({ trigger: 'http' });
    expect(messages).toEqual({ plan: 1, fetch: 0, merge: 0 });
    expect(status.entities.map(({ state }) => state)).toEqual(['merged', 'merged']);
  });

  it('deletes the reports of old runs once an hour', async () => {
    org = await Organisation.start(['account']);
    await org.sync();
    const { work } = org.harness.services;
    for (let n = 0; n < 130; n++) await work.put(paths.run(`20200101T${100000 + n}Z-00000000`), {});
    const runs = async (): Promise<number> => {
      let count = 0;
      for await (const _ of work.folders('runs/')) count += 1;
      return count;
    };
    await tick();
    expect(await runs()).toBe(132);
    org.clock.now += 3_600_000;
    await tick();
    expect(await runs()).toBe(100);
  });
});

it('a run whose clean-up fails is released at once, and announced once', async () => {
  org = await Organisation.start(['account']);
  await org.sync();
  const events = listenToEvents();
  const { work } = org.harness.services;
  const { folders } = work;
  let announced: boolean | undefined;
  work.folders = async function* () {
    work.folders = folders;
    announced = (await reportOfLatest()).announced;
    yield* [];
    throw new SyncError('The storage is busy.');
  };
  const reportOfLatest = async (): Promise<RunDocument> => {
    const active = (await work.read<{ runId: string }>(paths.active))!;
    return (await work.read<RunDocument>(paths.run(active.value.runId)))!.value;
  };
  org.clock.now += 3_600_000;
  await tick();
  // A process that dies in a clean-up has noted that.
  expect(announced).toBe(true);
  expect(await work.read(paths.active)).toBeUndefined();
  expect(org.harness.waiting).toBe(0);
  expect(events.filter(({ name }) => name === 'RunEnded')).toHaveLength(1);
  const warnings = org.harness.log.filter(({ level }) => level === 'warn').map(({ message }) => message);
  expect(warnings).toEqual(['Old documents could not be deleted: The storage is busy.']);
});

describe('a run in which some tables changed', () => {
  it('fetches through the queue what follows the first page, and tables that are new, read again or compared', async () => {
    org = await Organisation.start(['account', 'lead', 'contact'], {}, { DATAVERSE_PAGE_SIZE: '10' });
    for (const table of ['account', 'lead', 'contact', 'team']) org.rows(table, 15);
    await org.sync();
    org.harness.configure(['account', { name: 'lead', reconcileEvery: 1 }, 'contact', 'team']);
    org.rows('account', 25);
    await org.sync();
    org.rows('account', 25);
    const { services } = org.harness;
    const fetched: string[] = [];
    const { sendFetch } = services;
    services.sendFetch = (message, delay) => {
      fetched.push(`${message.entity} ${message.slice}`);
      return sendFetch(message, delay);
    };
    expect(await org.sync({ trigger: 'http', reread: ['contact'] })).toMatchObject({
      totals: { added: 25, failed: 0 },
    });
    expect(fetched.sort()).toEqual(['account 1', 'contact 0', 'lead 0']);
    await org.expectMirror('account', 'lead', 'contact', 'team');
  });

  it.each(['429', '503'] as const)(
    'leaves a table that gets %s to the queue, and counts its requests',
    async (kind) => {
      org = await Organisation.start(['account', 'contact', 'team', 'email'], { rows: 60 });
      await org.sync();
      const fault = org.dataverse.faults.add({
        kind,
        match: /\/accounts\?.*deltatoken/,
        times: 1,
        retryAfter: 1,
      });
      const messages = countMessages();
      const before = org.dataverse.stats.requests;
      const status = await org.sync({ trigger: 'timer' });
      expect(fault.hits).toBe(1);
      expect(messages).toMatchObject({ plan: 0, merge: 1 });
      expect(messages.fetch).toBeGreaterThanOrEqual(1);
      expect(status.totals.failed).toBe(0);
      expect(reportOf(status, 'account')).toMatchObject({
        state: 'merged',
        requests: 2,
        retries: 1,
        throttled: kind === '429' ? 1 : 0,
      });
      expect(status.totals.retries).toBe(1);
      expect(status.totals.requests).toBe(org.dataverse.stats.requests - before - 1);
    },
  );

  it.each(['timer', 'http'] as const)(
    'says in a run by %s that a delta link has expired, which the first page met',
    async (trigger) => {
      org = await Organisation.start(['account', 'team'], { rows: 20 });
      await org.sync();
      // It stays expired: the planning and the queue meet it.
      const fault = org.dataverse.faults.add({
        kind: 'expired-token',
        match: /\/accounts\?.*deltatoken/,
        rate: 1,
      });
      const report = reportOf(await org.sync({ trigger }), 'account');
      expect(fault.hits).toBe(2);
      expect(report).toMatchObject({ state: 'merged', strategy: 'delta', requests: 3, retries: 1 });
      expect(report.reason).toMatch(/expired/);
      await org.expectMirror('account');
    },
  );

  it('leaves to the queue what is not answered in time', async () => {
    org = await Organisation.start(['account', 'team'], { rows: 60 });
    await org.sync();
    const { services } = org.harness;
    const { dataverse } = services;
    const real = AbortSignal.timeout.bind(AbortSignal);
    vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => real(ms === 20_000 ? 1_000 : ms));
    let isSlow = true;
    services.dataverse = {
      ...dataverse,
      readPages: async function* (query, options) {
        if (query.entitySet === 'accounts' && isSlow) {
          isSlow = false;
          await new Promise((_, reject) => {
            options?.signal?.addEventListener('abort', () => reject(options.signal!.reason));
          });
        }
        yield* dataverse.readPages(query, options);
      },
    };
    const messages = countMessages();
    const status = await org.sync({ trigger: 'timer' });
    expect(messages).toEqual({ plan: 0, fetch: 1, merge: 1 });
    expect(status.totals.failed).toBe(0);
  });
});

describe('a table whose deletes show in comparisons only', () => {
  /** A table without change tracking that has been idle. @returns the ids of its rows */
  async function startIdle(reconcileEvery: number | string, count = 10): Promise<string[]> {
    org = await Organisation.start(['account', { name: 'lead', reconcileEvery }]);
    const ids = org.rows('lead', count);
    org.clock.now += 86_400_000;
    // Rows that each run reads, because they are in the window.
    org.rows('lead', 2);
    for (let n = 0; n < 2; n++) await org.sync();
    return ids;
  }

  const isCompared = async (): Promise<boolean> => {
    const report = reportOf(await org.sync({ trigger: 'timer' }), 'lead');
    return report.verified !== undefined;
  };

  it('is compared once an interval, by the time of the last comparison', async () => {
    await startIdle('30m');
    expect(await isCompared()).toBe(false);
    org.clock.now += 27 * 60_000;
    // A change that the count does not show.
    const [id] = await org.ids('lead');
    org.store.update('lead', id!, { subject: 'imported', modifiedon: '2020-01-01T00:00:00Z' });
    expect(await isCompared()).toBe(true);
    await org.expectMirror('lead');
    expect(await isCompared()).toBe(false);
  });

  it.each([
    ['0s', [true, true, true]],
    [1, [true, true, true]],
    [0, [false, false, false]],
    [2, [true, false, true]],
    ['1d', [false, false, false]],
  ])('with reconcileEvery %j is compared as %j in three runs', async (reconcileEvery, expected) => {
    await startIdle(reconcileEvery);
    const found: boolean[] = [];
    for (let n = 0; n < 3; n++) found.push(await isCompared());
    expect(found).toEqual(expected);
  });

  it('is compared at once if Dataverse counts another number of rows, which costs one request', async () => {
    const ids = await startIdle('1h');
    const before = org.dataverse.stats.requests;
    expect(await isCompared()).toBe(false);
    expect(org.dataverse.stats.requests - before).toBe(4);
    org.store.delete('lead', ids[3]!);
    const events = listenToEvents();
    const status = await org.sync({ trigger: 'timer' });
    const fetched = events.filter(({ name, table }) => name === 'SliceFetched' && table === 'lead');
    expect(fetched.map(({ requests }) => requests)).toEqual([3]);
    // The page that showed no change, and the pages of the comparison.
    expect(reportOf(status, 'lead')).toMatchObject({ deleted: 1, verified: 11, requests: 3 });
    await org.expectMirror('lead');
    expect(await isCompared()).toBe(false);
  });

  it('is not compared again and again because of rows that the mirror cannot have', async () => {
    const ids = await startIdle('1h');
    const { services } = org.harness;
    const { batch } = services.dataverse;
    services.dataverse = {
      ...services.dataverse,
      batch: async (...args) => {
        const replies = await batch(...args);
        return replies.map((reply) => {
          if (reply === undefined || Array.isArray(reply)) return reply;
          return { ...reply, body: Buffer.from(String(Number(reply.body.toString()) + 3)) };
        });
      },
    };
    expect([await isCompared(), await isCompared(), await isCompared()]).toEqual([true, false, false]);
    org.store.delete('lead', ids[3]!);
    expect([await isCompared(), await isCompared()]).toEqual([true, false]);
    await org.expectMirror('lead');
  });

  it('is compared again after an hour if the comparison that the count asked for cannot be read', async () => {
    const table = { name: 'lead', reconcileEvery: '7d', verifyHours: 0 };
    org = await Organisation.start(['account', table]);
    const ids = org.rows('lead', 10);
    org.clock.now += 86_400_000;
    org.rows('lead', 2);
    for (let n = 0; n < 2; n++) await org.sync();
    org.store.delete('lead', ids[3]!);
    org.dataverse.faults.add({
      kind: 'sql-timeout',
      // All rows, with their keys or with all columns, and not those after the watermark.
      match: ({ path, query }) =>
        path.endsWith('/leads') &&
        !/top=1|ge 20/.test(decodeURIComponent(query)) &&
        (query.includes('$select=leadid') || !query.includes('$select')),
      times: 1e6,
    });
    const known = async () => (await org.harness.services.mirror.lastState())!.entities['lead']!;
    const failed = reportOf(await org.sync({ trigger: 'timer' }), 'lead');
    expect(failed).toMatchObject({ hint: expect.stringContaining('tried again every hour') });
    // Nothing is known of the rows that the count told of.
    expect((await known()).miscount).toBeUndefined();
    org.dataverse.faults.clear();
    expect(await isCompared()).toBe(false);
    org.clock.now += 3_600_000;
    expect(reportOf(await org.sync({ trigger: 'timer' }), 'lead')).toMatchObject({
      deleted: 1,
      verified: 11,
    });
    expect((await known()).uncompared).toBeUndefined();
    await org.expectMirror('lead');
    expect(await isCompared()).toBe(false);
  });

  it('is left to its interval if Dataverse does not count', async () => {
    const ids = await startIdle('1h');
    org.store.delete('lead', ids[3]!);
    const fault = org.dataverse.faults.add({ kind: '503', match: /\$batch/, times: 1 });
    expect(await isCompared()).toBe(false);
    expect(fault.hits).toBe(1);
    expect(await isCompared()).toBe(true);
    await org.expectMirror('lead');
  });
});

describe('a process that dies in a run without messages', () => {
  const writes = [
    'create',
    'replaceIfUnchanged',
    'deleteIfUnchanged',
    'createIfAbsent',
    'putBytes',
    'put',
  ] as const;

  /** Kills the process before or after its write of this number. Later calls fail as well. */
  function killAt(number: number, when: 'before' | 'after'): { revive: () => void; isDead: () => boolean } {
    const { work, published } = org.harness.storage;
    let left = number;
    let isDead = false;
    const restore: (() => void)[] = [];
    for (const store of [work, published] as unknown as Record<string, unknown>[]) {
      for (const method of [...writes, 'read', 'list', 'deletePrefix']) {
        const real = (store[method] as (...args: unknown[]) => unknown).bind(store);
        store[method] = async (...args: unknown[]) => {
          if (isDead) throw new SyncError('killed');
          isDead = (writes as readonly string[]).includes(method) && --left === 0;
          if (isDead && when === 'before') throw new SyncError('killed');
          const result = await real(...args);
          if (isDead) throw new SyncError('killed');
          return result;
        };
        restore.push(() => delete store[method]);
      }
    }
    return {
      revive: () => {
        for (const one of restore) one();
      },
      isDead: () => isDead,
    };
  }

  const points = [1, 2, 3, 4].flatMap((n) => [[n, 'before'] as const, [n, 'after'] as const]);

  it.each(sampleOf(points, 4))('at write %i, %s it, is healed by a later tick', async (number, when) => {
    org = await Organisation.start(['account', 'team'], { rows: 30 });
    await org.sync();
    const events = listenToEvents();
    const kill = killAt(number, when);
    await tick().catch(() => undefined);
    expect(kill.isDead()).toBe(true);
    kill.revive();
    org.harness.restarted();
    // The ticks of four minutes. The storage dates its blobs with the time of the machine.
    org.clock.now = Math.max(org.clock.now, Date.now());
    for (let n = 0; n < 4; n++) {
      await tick();
      await org.harness.drain();
    }
    const { services } = org.harness;
    expect(await services.work.read(paths.active)).toBeUndefined();
    const { runs } = await syncStatus(services);
    expect(runs.every(({ phase }) => phase === 'complete')).toBe(true);
    const ended = events.filter(({ name }) => name === 'RunEnded');
    // Each run once, and the one whose process died at least once.
    expect(ended.length).toBeGreaterThanOrEqual(runs.length - 1);
    expect(ended.length).toBeLessThanOrEqual(runs.length);
    org.rows('account', 2);
    await org.sync({ trigger: 'timer' });
    await org.expectMirror('account', 'team');
  });

  // The shard of the table that changed, and its run.json. Its plan would be the next one.
  it.each([3, 4])('at write %i of a run with changes, is healed by a later tick', async (number) => {
    org = await Organisation.start(['account', 'team'], { rows: 30 });
    // The storage dates its blobs with the time of the machine.
    org.clock.now = Date.now();
    await org.sync();
    org.rows('account', 3);
    const kill = killAt(number, 'after');
    await expect(tick()).rejects.toThrow('killed');
    kill.revive();
    org.harness.restarted();
    const { work } = org.harness.services;
    for (let n = 0; n < 4; n++) await tick();
    expect((await work.read<{ resumptions: number }>(paths.active))?.value.resumptions).toBe(0);
    await org.harness.drain();
    expect(await work.read(paths.active)).toBeUndefined();
    await org.expectMirror('account', 'team');
  });

  it('after it stored the plan is healed by a resumption', async () => {
    org = await Organisation.start(['account', 'team'], { rows: 30 });
    await org.sync();
    org.rows('account', 3);
    const { services } = org.harness;
    const { sendMerge, sendPlan } = services;
    services.sendMerge = () => Promise.reject(new Error('killed'));
    services.sendPlan = () => Promise.reject(new Error('killed'));
    await expect(tick()).rejects.toThrow('killed');
    Object.assign(services, { sendMerge, sendPlan });
    org.harness.restarted();
    org.clock.now = Math.max(org.clock.now, Date.now()) + 1_000_000;
    expect((await tick()).outcome).toBe('resumed');
    await org.harness.drain();
    expect(await services.work.read(paths.active)).toBeUndefined();
    await org.expectMirror('account', 'team');
  });

  it('does not end a run that another start has resumed meanwhile', async () => {
    org = await Organisation.start(['account'], { rows: 30 });
    await org.sync();
    const events = listenToEvents();
    const { services } = org.harness;
    const { saveState } = services.mirror;
    services.mirror.saveState = async (loaded) => {
      services.mirror.saveState = saveState;
      // The process sleeps for four minutes.
      org.clock.now += 240_000;
      expect((await tick()).outcome).toBe('resumed');
      return saveState.call(services.mirror, loaded);
    };
    const { runId } = await tick();
    expect(events.filter(({ name }) => name === 'RunEnded')).toEqual([]);
    await org.harness.drain();
    expect(events.filter(({ name }) => name === 'RunEnded')).toHaveLength(1);
    expect(await runStatus(services, runId)).toMatchObject({ phase: 'complete' });
    expect(await services.work.read(paths.active)).toBeUndefined();
  });

  it('announces the run once if it is resumed after its report', async () => {
    org = await Organisation.start(['account'], { rows: 30 });
    await org.sync();
    const events = listenToEvents();
    const { services } = org.harness;
    const { deleteIfUnchanged } = services.work;
    services.work.deleteIfUnchanged = async (name, etag) => {
      services.work.deleteIfUnchanged = deleteIfUnchanged;
      const active = (await services.work.read<object>(paths.active))!;
      await services.work.replaceIfUnchanged(paths.active, { ...active.value, resumptions: 1 }, active.etag);
      return deleteIfUnchanged.call(services.work, name, etag);
    };
    const { runId } = await tick();
    expect((await services.work.read<RunDocument>(paths.run(runId)))?.value.announced).toBe(true);
    await services.sendPlan({ runId });
    await org.harness.drain();
    expect(events.filter(({ name }) => name === 'RunEnded')).toHaveLength(1);
    expect(await services.work.read(paths.active)).toBeUndefined();
  });
});
