import { describe, expect, it } from 'vitest';
import { parseEntities } from '../../../src/config/entities.ts';
import { readSettings } from '../../../src/config/settings.ts';
import { wholeTableStrategies } from '../../../src/config/strategies.ts';
import { DataverseError, LinkError } from '../../../src/dataverse/errors/errors.ts';
import { RetriableError } from '../../../src/errors.ts';
import type { Table } from '../../../src/schema/table.ts';
import type { Slice, SliceStart } from '../../../src/sync/documents/slice.ts';
import { planTable } from '../../../src/sync/plan/plan-table.ts';
import type { MergeOutcome } from '../../../src/sync/strategies/fetched-table.ts';
import { broughtNothing, nextState } from '../../../src/sync/strategies/next-state.ts';
import { readingOf } from '../../../src/sync/strategies/registry.ts';
import type { PageLinks, RowReader } from '../../../src/sync/strategies/row-reader.ts';
import type { PlanContext } from '../../../src/sync/strategies/strategy.ts';
import type { TableState } from '../../../src/target/state.ts';

const settings = readSettings({
  DATAVERSE_URL: 'https://contoso.crm.dynamics.com',
  AzureWebJobsStorage: 'UseDevelopmentStorage=true',
}).sync;
const now = new Date('2026-11-21T02:00:00.000Z');

const account: Table = {
  logicalName: 'account',
  name: 'accounts',
  primaryKey: 'accountid',
  columns: [],
  foreignKeys: [],
  modifiedOnColumn: 'modifiedon',
  changeTracking: true,
  intersect: false,
};

const state: TableState = {
  table: account,
  strategy: 'delta',
  deltaLink: 'https://contoso.crm.dynamics.com/api/data/v9.2/accounts?$deltatoken=1',
  watermark: '2026-11-20T12:00:00Z',
  rows: 3,
  runsSinceSweep: 0,
  syncedAt: '2026-11-20T12:00:05.000Z',
};

function plan(entity: object, context: Partial<PlanContext> = {}) {
  const [config] = parseEntities([{ name: 'account', ...entity }]);
  return planTable({
    config: config!,
    table: account,
    state: undefined,
    rereadReason: undefined,
    allowsMassDelete: false,
    settings,
    now,
    ...context,
  });
}

describe('planTable', () => {
  it('takes the best strategy that the table allows, with the next one as its fallback', () => {
    expect(plan({})).toMatchObject({
      strategy: 'delta',
      read: { kind: 'delta-initial' },
      fallback: { strategy: 'modifiedon', read: { kind: 'all' } },
      reason: 'change tracking is on',
    });
    const untracked = { ...account, changeTracking: false };
    expect(plan({}, { table: untracked })).toMatchObject({ strategy: 'modifiedon' });
    const timeless = { ...untracked, modifiedOnColumn: undefined };
    expect(plan({}, { table: timeless })).toMatchObject({ strategy: 'full', fallback: undefined });
  });

  it('takes the configured strategy, or the next one where the table does not allow it', () => {
    for (const strategy of wholeTableStrategies) {
      expect(plan({ strategy })).toMatchObject({ strategy, reason: 'configured' });
    }
    const timeless = { ...account, modifiedOnColumn: undefined };
    expect(plan({ strategy: 'modifiedon' }, { table: timeless })).toMatchObject({
      strategy: 'full',
      reason: 'the table has no modifiedon column',
    });
    expect(plan({ filtered: true, strategy: 'full' })).toMatchObject({
      strategy: 'filtered',
      reason: 'filtered: only rows that others refer to',
    });
  });

  it('continues at the cursor of the last run', () => {
    expect(plan({}, { state }).read).toEqual({ kind: 'delta', link: state.deltaLink });
    expect(plan({ filtered: true }, { state: { ...state, storedIds: 'stored-ids/1.json' } }).read).toEqual({
      kind: 'stored-ids',
      list: 'stored-ids/1.json',
      whole: false,
    });
    // Change tracking named the deleted rows until now, so the first read by modifiedon compares all keys.
    const byTime = (known: Partial<TableState>, entity = {}) =>
      plan({ strategy: 'modifiedon', ...entity }, { state: { ...state, ...known } }).read;
    const since = '2026-11-20T11:58:00Z';
    expect(byTime({}, { reconcileEvery: 0 })).toEqual({ kind: 'modifiedon', since, sweep: true });
    const timed = { strategy: 'modifiedon', runsSinceSweep: 1 } as const;
    expect(byTime(timed, { reconcileEvery: 0 })).toEqual({ kind: 'modifiedon', since, sweep: false });
    expect(byTime(timed, { reconcileEvery: 3 })).toEqual({ kind: 'modifiedon', since, sweep: false });
    expect(byTime(timed, { reconcileEvery: 2 })).toEqual({ kind: 'modifiedon', since, sweep: true });
    const swept = (sweptAt?: string) => byTime({ ...timed, sweptAt }, { reconcileEvery: '1h' });
    const ago = (minutes: number) => new Date(now.getTime() - minutes * 60_000).toISOString();
    expect(swept(ago(58))).toEqual({ kind: 'modifiedon', since, sweep: false });
    // A run that begins a little early does not put the comparison off by one run.
    expect(swept(ago(59.5))).toEqual({ kind: 'modifiedon', since, sweep: true });
    // A comparison in the future was timed by a clock that was wrong. Earlier versions did not note the time.
    expect(swept(ago(-90))).toEqual({ kind: 'modifiedon', since, sweep: true });
    expect(swept()).toEqual({ kind: 'modifiedon', since, sweep: true });
    expect(byTime({ ...timed, sweptAt: ago(0) }, { reconcileEvery: '0s' })).toMatchObject({ sweep: true });
    const old = { ...timed, comparedAt: '2026-11-20T02:00:00.000Z' };
    expect(byTime(old, { reconcileEvery: 0 })).toEqual({ kind: 'modifiedon', since, sweep: true });
    // A table that was kept in part lacks rows that are older than its watermark.
    expect(byTime({ strategy: 'filtered' })).toEqual({ kind: 'all' });
  });

  it('verifies tables that were read together at different times in the last quarter of the interval', () => {
    const comparedAt = now.toISOString();
    const dueAfter = (logicalName: string, verifyHours: number): number => {
      const table = { ...account, logicalName };
      const known = { ...state, table, comparedAt };
      for (let minutes = 0; minutes <= verifyHours * 60; minutes++) {
        const time = new Date(now.getTime() + minutes * 60_000);
        const { read } = plan({ verifyHours }, { table, state: known, now: time });
        if ('sweep' in read) return minutes / 60 / verifyHours;
      }
      return Number.POSITIVE_INFINITY;
    };
    const names = Array.from({ length: 40 }, (_, index) => `new_table${index}`);
    const due = names.map((name) => dueAfter(name, 10));
    expect(Math.min(...due)).toBeGreaterThanOrEqual(0.75);
    expect(Math.max(...due)).toBeLessThanOrEqual(1);
    for (let part = 0.75; part < 1; part += 0.0625) {
      expect(due.some((time) => time >= part && time < part + 0.0625)).toBe(true);
    }
    expect(names.map((name) => dueAfter(name, 10))).toEqual(due);
    expect(dueAfter('account', 1)).toBeLessThanOrEqual(1);
  });

  it('reads every row where the reason for a reread is given', () => {
    const context = { state: { ...state, storedIds: 'stored-ids/1.json' }, rereadReason: 'a new column' };
    expect(plan({}, context)).toMatchObject({
      read: { kind: 'delta-initial' },
      reason: 'change tracking is on; all rows are read again: a new column',
    });
    expect(plan({ strategy: 'modifiedon' }, context).read).toEqual({ kind: 'all' });
    expect(plan({ filtered: true }, context).read).toMatchObject({ whole: true });
  });

  it('leaves a refused strategy alone until its time has come', () => {
    const fallback = { reason: 'no privilege', until: '2026-11-21T03:00:00.000Z' };
    expect(plan({}, { state: { ...state, fallback } })).toMatchObject({
      strategy: 'modifiedon',
      reason: 'no privilege (tried again after 2026-11-21T03:00:00.000Z)',
    });
    expect(plan({}, { state: { ...state, fallback }, now: new Date(fallback.until) }).strategy).toBe('delta');
  });
});

/** Answers one page; other reads are not expected. */
function readerOf(planned: ReturnType<typeof plan>, links: PageLinks): RowReader {
  const unexpected = () => Promise.reject(new Error('not expected'));
  return {
    table: account,
    plan: planned,
    readPage: async () => links,
    readKeysPage: unexpected,
    readRowsById: unexpected,
    readKeysById: unexpected,
    readStoredIds: unexpected,
    resolveTombstones: unexpected,
    newReferences: unexpected,
    readAbsentIds: unexpected,
    noteAbsent: () => undefined,
  };
}

describe('an error under change tracking', () => {
  const planned = plan({}, { state });
  const atLink: SliceStart = { strategy: 'delta', read: planned.read, part: 'rows' };
  const later = { ...atLink, link: 'https://contoso.crm.dynamics.com/api/data/v9.2/accounts?$skiptoken=2' };
  const afterError = (position: SliceStart, error: Error) =>
    readingOf(position).afterError?.(position, error, readerOf(planned, {}), false);
  const refused = (status: number) =>
    new DataverseError('refused', { fault: { operation: 'read accounts', transient: false, status } });

  it('leads to a new first read where the stored link does not fit any more', () => {
    for (const error of [new LinkError('away from the old origin'), refused(400), refused(404)]) {
      expect(afterError(atLink, error)).toEqual({
        strategy: 'delta',
        read: { kind: 'delta-initial' },
        part: 'rows',
        reason: error.message,
      });
    }
  });

  it('stands where it says nothing about the stored link', () => {
    expect(afterError(later, new LinkError('the same link twice'))).toBeUndefined();
    expect(afterError(atLink, refused(403))).toBeUndefined();
    expect(afterError(atLink, new RetriableError('busy'))).toBeUndefined();
    const first = { ...atLink, read: { kind: 'delta-initial' } };
    // A provider may reject change tracking in its own words; then the next strategy reads the table.
    expect(afterError(first, refused(400))).toMatchObject({ strategy: 'modifiedon' });
    expect(afterError({ ...first, link: 'https://x/2' }, refused(400))).toBeUndefined();
  });

  it('leads to the fallback where the last page of a first read has no delta link', async () => {
    const first: SliceStart = { ...atLink, read: { kind: 'delta-initial' } };
    const next = await readingOf(first).advance(first, readerOf(planned, {}));
    expect(next).toEqual({
      ...planned.fallback,
      part: 'rows',
      reason: 'Dataverse gave no delta link at the end of the read',
    });
    const link = 'https://contoso.crm.dynamics.com/api/data/v9.2/accounts?$skiptoken=1';
    expect(await readingOf(first).advance(first, readerOf(planned, { nextLink: link }))).toEqual({
      ...first,
      link,
    });
    expect(await readingOf(first).advance(first, readerOf(planned, { deltaLink: 'd' }))).toBeUndefined();
  });
});

describe('the state after a merge', () => {
  const slice: Slice = {
    slice: 0,
    start: { strategy: 'delta', read: { kind: 'delta-initial' }, part: 'rows' },
    rowsRead: 3,
    deleted: 0,
    keys: 0,
    pages: 1,
    requests: 1,
    retries: 0,
    bytes: 1,
    seconds: 1,
    digest: '00000000000000000000000000000001',
    keysDigest: '00000000000000000000000000000002',
    maxModifiedOn: '2026-11-21T01:00:00Z',
    deltaLink: 'https://contoso.crm.dynamics.com/api/data/v9.2/accounts?$deltatoken=2',
  };
  const outcome: MergeOutcome = {
    rows: 3,
    startedAt: '2026-11-21T02:00:00.000Z',
    at: '2026-11-21T02:00:09.000Z',
    isCurrent: true,
    isHeldBack: false,
    digestOf: async (since) => `of the database${since === undefined ? '' : ` since ${since}`}`,
  };
  const merged = (
    start: Partial<SliceStart>,
    more: Partial<MergeOutcome> = {},
    known = state,
    part: Partial<Slice> = {},
  ) => {
    const fetched = {
      name: 'account',
      plan: { ...plan({}), read: start.read ?? slice.start.read },
      slices: [{ ...slice, ...part, start: { ...slice.start, ...start } }],
    };
    return nextState(settings, known, account, fetched, { ...outcome, ...more });
  };
  const held = { isCurrent: false };

  it('has the new delta link, unless deletes were held back', async () => {
    const read = { kind: 'delta', link: state.deltaLink };
    expect(await merged({ read })).toMatchObject({ deltaLink: slice.deltaLink, runsSinceSweep: 1 });
    expect(await merged({ read }, held)).toMatchObject({ deltaLink: state.deltaLink });
    // A first read is then done again.
    expect((await merged({}, held)).deltaLink).toBeUndefined();
    expect(await merged({})).toMatchObject({
      deltaLink: slice.deltaLink,
      contentDigest: slice.digest,
      runsSinceSweep: 0,
      watermark: slice.maxModifiedOn,
    });
  });

  it('has the delta link that the changes ended with, also where the keys follow in later slices', async () => {
    const read = { kind: 'delta', link: state.deltaLink, sweep: true };
    const start = { strategy: 'delta', read, part: 'rows' } as const;
    const changes = { ...slice, start };
    const { deltaLink: _, ...rest } = slice;
    const keys: Slice = { ...rest, slice: 1, start: { ...start, part: 'keys' }, rowsRead: 0, keys: 3 };
    const fetched = { name: 'account', plan: { ...plan({}), read }, slices: [changes, keys] };
    const stateAfter = (more: Partial<MergeOutcome>) =>
      nextState(settings, state, account, fetched, { ...outcome, ...more });
    const { deltaLink } = slice;
    const comparedAt = outcome.startedAt;
    expect(await stateAfter({})).toMatchObject({ deltaLink, comparedAt, sweepAgain: undefined });
    // Rows that differ are read in the next round. Without it, the next run compares again.
    expect(await stateAfter(held)).toMatchObject({ deltaLink, sweepAgain: 'rows' });
    const byId = { read: { kind: 'ids', ids: [] } };
    const again = { ...state, sweepAgain: 'rows' } as const;
    expect((await merged(byId, {}, again)).sweepAgain).toBeUndefined();
    expect(plan({}, { state: again }).read).toMatchObject({ kind: 'delta', sweep: true });
    const heldBack = { isCurrent: false, isHeldBack: true };
    expect(await stateAfter(heldBack)).toMatchObject({ deltaLink: state.deltaLink, sweepAgain: 'deletes' });
  });

  it('keeps the delta link after rows were read again by id, and counts no run', async () => {
    const byId = { read: { kind: 'ids', ids: [] } };
    expect(await merged(byId)).toMatchObject({
      strategy: 'delta',
      deltaLink: state.deltaLink,
      contentDigest: 'of the database',
      runsSinceSweep: 0,
    });
    // They were read by the planned strategy, and the run had fallen back to another one.
    const timed: TableState = { ...state, strategy: 'modifiedon' };
    expect(await merged(byId, {}, timed)).toMatchObject({
      strategy: 'modifiedon',
      window: {
        from: '2026-11-20T11:58:00Z',
        digest: 'of the database since 2026-11-20T11:58:00Z',
      },
    });
  });

  it('does not move the watermark past the time at which the read began', async () => {
    const readAt = '2026-11-21T00:59:00.000Z';
    expect((await merged({}, {}, state, { readAt })).watermark).toBe(readAt);
    expect((await merged({}, {}, state, { readAt: '2026-11-21T03:00:00.000Z' })).watermark).toBe(
      slice.maxModifiedOn,
    );
    expect((await merged({}, { startedAt: readAt })).watermark).toBe(readAt);
  });

  it('has the digest of each row once where Dataverse showed a row on two pages', async () => {
    expect(await merged({}, { rows: 2 })).toMatchObject({ contentDigest: 'of the database' });
  });

  it('knows no digests where the table does not hold what the read showed', async () => {
    const read = { kind: 'modifiedon', since: '2026-11-20T11:58:00Z', sweep: true };
    const byTime = await merged({ strategy: 'modifiedon', read }, held);
    expect(byTime.contentDigest).toBeUndefined();
    expect(byTime.window).toBeUndefined();
  });

  it('remembers a refusal for a day', async () => {
    const refused = { strategy: 'modifiedon', read: { kind: 'all' }, reason: 'no privilege' } as const;
    const fallback = {
      reason: 'no privilege',
      until: '2026-11-22T02:00:09.000Z',
      refused: ['delta'],
    };
    const first = await merged(refused);
    expect(first.fallback).toEqual(fallback);
    const byId = { kind: 'ids', ids: [] };
    expect((await merged({ read: byId }, {}, first)).fallback).toEqual(fallback);
    expect((await merged({}, { at: fallback.until }, first)).fallback).toBeUndefined();
  });

  it('is the known one where a read of all rows returned the same values', async () => {
    const start = { strategy: 'full', read: { kind: 'all' }, part: 'rows' } as const;
    const values = '00000000000000000000000000000003';
    const whole = { ...slice, start, valuesDigest: values };
    const fetched = { name: 'account', plan: plan({ strategy: 'full' }), slices: [whole] };
    const known = await nextState(settings, undefined, account, fetched, outcome);
    expect(known).toMatchObject({ contentDigest: slice.digest, valuesDigest: values });
    expect(broughtNothing(known, fetched)).toBe(true);
    expect(broughtNothing(undefined, fetched)).toBe(false);
    expect(broughtNothing({ ...known, contentDigest: 'another' }, fetched)).toBe(false);
    expect(broughtNothing({ ...known, valuesDigest: 'another' }, fetched)).toBe(false);
    expect(broughtNothing({ ...known, valuesDigest: undefined }, fetched)).toBe(false);
    expect(broughtNothing({ ...known, strategy: 'modifiedon' }, fetched)).toBe(false);
    const failure = { error: 'busy' };
    expect(broughtNothing(known, { ...fetched, slices: [], failure })).toBe(true);
  });

  it('is not known to be the same after a first read under change tracking', async () => {
    const known = await merged({});
    expect(broughtNothing(known, { name: 'account', plan: plan({}), slices: [slice] })).toBe(false);
  });
});
