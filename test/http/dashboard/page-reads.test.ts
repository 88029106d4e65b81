import { afterEach, expect, it, vi } from 'vitest';
import { readMetricsSettings } from '../../../src/config/metrics-settings.ts';
import { ConflictError, RetriableError } from '../../../src/errors.ts';
import { Mirror } from '../../../src/mirror/mirror.ts';
import { OpenMirrors } from '../../../src/mirror/open-mirrors.ts';
import { readPagesWith } from '../../../src/pages-services.ts';
import { Organisation } from '../../sync/organisation.ts';

let org: Organisation | undefined;
afterEach(async () => {
  await org?.stop();
  org = undefined;
});

const since = new Date('2026-11-01T00:00:00Z');
const at = (hour: number) => `2026-11-20T${String(hour).padStart(2, '0')}:00:00Z`;

async function start(entities: unknown[]) {
  org = await Organisation.start(entities);
  const { store, harness } = org;
  const create = (runId: string, createdAt: string, costUSD: number) =>
    store.create('apex_campaignmetrics', {
      ...{ apex_campaignid: 'c', apex_runid: runId, apex_phase: '1', apex_createdat: createdAt },
      apex_costusd: costUSD,
    });
  const settings = readMetricsSettings({});
  /** What the list of Dataverse says; undefined: Dataverse does not answer. */
  let listed: { id: string; record: never }[] | undefined = [];
  const sinces: string[] = [];
  const reader = {
    list: async (filter: { since?: string }) => {
      sinces.push(filter.since!);
      if (listed === undefined) throw new RetriableError('Dataverse is away.');
      return { rows: listed };
    },
  };
  const {
    metrics: read,
    schemaChanges,
    displayNames,
    rowCounts,
  } = readPagesWith({
    metrics: () => ({ reader, settings }) as never,
    sync: async () => harness.services,
    mirror: () => harness.pageReads(),
  });
  return {
    create,
    read,
    schemaChanges,
    displayNames,
    rowCounts,
    sinces,
    answer: (rows: typeof listed) => (listed = rows),
  };
}

it('records come from the mirror, the newest ones from Dataverse', async () => {
  const { create, read, sinces, answer } = await start(['apex_campaignmetrics']);
  const first = create('r1', at(1), 1.5);
  create('old', '2026-10-01T00:00:00Z', 9);
  await org!.sync();
  answer([{ id: 'new', record: { runId: 'r2', createdAt: at(9), costUSD: 2 } as never }]);
  const found = await read(since);
  expect(found).toMatchObject({ source: 'mirror', isCut: false });
  expect(found.rows.map(({ id, record }) => [id, record.runId, Number(record.costUSD)])).toEqual([
    ['new', 'r2', 2],
    [first, 'r1', 1.5],
  ]);
  // An hour before the table was read last.
  expect(Date.parse(sinces[0]!)).toBe(Date.parse(found.mirroredAt!) - 3_600_000);

  // The state of the next sync, of which the open mirror knows nothing.
  answer([]);
  create('r3', at(11), 4);
  await org!.sync();
  expect((await read(since)).rows.map(({ record }) => record.runId)).toEqual(['r3', 'r1']);
  answer(undefined);
  expect(await read(since)).toMatchObject({ fault: 'Dataverse is away.', rows: { length: 2 } });
});

it('records come from Dataverse where their table is not mirrored, and before the first sync', async () => {
  const { read, sinces } = await start(['account']);
  expect(await read(since)).toEqual({ source: 'dataverse', rows: [], isCut: false });
  await org!.sync();
  expect(await read(since)).toMatchObject({ source: 'dataverse' });
  expect(sinces).toEqual(['2026-11-01T00:00:00Z', '2026-11-01T00:00:00Z']);
});

it.each([
  ['a table without a column of the records', { columns: { exclude: ['apex_costusd'] } }],
  ['a filtered table', { filtered: true }],
])('records do not come from %s', async (_, option) => {
  const { create, read } = await start(['account', { name: 'apex_campaignmetrics', ...option }]);
  create('r1', at(1), 1.5);
  await org!.sync();
  expect(await read(since)).toMatchObject({ source: 'dataverse' });
});

it('several readers at a time share one read, and an unchanged mirror is read once', async () => {
  const { create, read, sinces } = await start(['apex_campaignmetrics']);
  create('r1', at(1), 1.5);
  await org!.sync();
  await Promise.all([read(since), read(since), read(since)]);
  expect(sinces).toHaveLength(1);
  const queries = vi.spyOn(Mirror.prototype, 'query');
  expect((await read(new Date('2026-11-10T00:00:00Z'))).rows).toHaveLength(1);
  expect((await read(new Date('2026-11-20T12:00:00Z'))).rows).toHaveLength(0);
  expect(queries).not.toHaveBeenCalled();
  queries.mockRestore();
});

it('reads at the same time survive a commit, and a failure of the storage keeps the mirror open', async () => {
  const { schemaChanges } = await start(['account']);
  await org!.sync();
  const mirrors = new OpenMirrors(() => org!.harness.storage.databaseFile);
  const count = () => mirrors.query<{ n: number }>(undefined, 'SELECT count(*) AS n FROM accounts');
  expect(await count()).toEqual([{ n: 0 }]);
  const refresh = vi.spyOn(Mirror.prototype, 'refresh');
  // As if the commit came between the look for a newer state and the query.
  refresh.mockResolvedValueOnce(false).mockResolvedValueOnce(false);
  const query = vi.spyOn(Mirror.prototype, 'query');
  query
    .mockRejectedValueOnce(new ConflictError('changed'))
    .mockRejectedValueOnce(new ConflictError('changed'));
  org!.rows('account', 3);
  await org!.sync();
  expect(await Promise.all([count(), count()])).toEqual([[{ n: 3 }], [{ n: 3 }]]);
  refresh.mockRejectedValueOnce(new RetriableError('busy'));
  await expect(count()).rejects.toThrow('busy');
  const opened = vi.spyOn(org!.harness.storage.databaseFile, 'open');
  expect(await count()).toEqual([{ n: 3 }]);
  // One look for a newer state: the mirror was not opened again.
  expect(opened).toHaveBeenCalledTimes(1);
  vi.restoreAllMocks();
  expect(await schemaChanges(1)).toHaveLength(1);
});

it('a mirror that was deleted is not there, and its successor is found', async () => {
  const { schemaChanges } = await start(['account']);
  await org!.sync();
  expect(await schemaChanges(10)).toHaveLength(1);
  const { storage } = org!.harness;
  const open = vi.spyOn(storage.databaseFile, 'open').mockResolvedValue('absent');
  expect(await schemaChanges(10)).toEqual([]);
  expect(await schemaChanges(10)).toEqual([]);
  open.mockRestore();
  expect(await schemaChanges(10)).toHaveLength(1);
});

it('changes of the schema and display names come from the mirror', async () => {
  const { schemaChanges, displayNames } = await start(['account', 'contact']);
  expect(await schemaChanges(10)).toEqual([]);
  expect(await displayNames({ name: 'accounts' })).toEqual([]);
  await org!.sync();
  const all = await schemaChanges(10);
  expect(all.map(({ table_name, change }) => [table_name, change]).sort()).toEqual([
    ['accounts', 'new-table'],
    ['contacts', 'new-table'],
  ]);
  expect(await schemaChanges(10, { name: 'contacts' })).toMatchObject([{ table_name: 'contacts' }]);
  expect(await schemaChanges(1)).toHaveLength(1);
  const names = await displayNames({ name: 'accounts' });
  expect(names.find(({ column_name }) => column_name === null)).toMatchObject({ display_name: 'Account' });
});

it('counts of Dataverse are asked for once in a run, and no page waits for them', async () => {
  const { rowCounts } = await start(['account', 'contact']);
  org!.rows('account', 12);
  const sent = vi.spyOn(org!.harness.services.dataverse, 'request');
  const requests = () => sent.mock.calls.length;
  expect(await rowCounts('r1', ['account'])).toEqual(new Map());
  await expect.poll(() => rowCounts('r1', ['account'])).toEqual(new Map([['account', 12]]));
  expect(requests()).toBe(1);
  await expect.poll(() => rowCounts('r1', ['account', 'contact']).then(({ size }) => size)).toBe(2);
  expect(requests()).toBe(2);
  // One that Dataverse does not count hides no other, and is not asked for again.
  await expect.poll(() => rowCounts('r2', ['none', 'account'])).toEqual(new Map([['account', 12]]));
  const asked = requests();
  await rowCounts('r2', ['none', 'account']);
  expect(requests()).toBe(asked);
  // One failure is logged, and not tried again in this run.
  sent.mockRejectedValueOnce(new RetriableError('Dataverse is away.'));
  await rowCounts('r3', ['account']);
  await expect
    .poll(() => org!.harness.log.some(({ message }) => message.includes('did not count')))
    .toBe(true);
});
