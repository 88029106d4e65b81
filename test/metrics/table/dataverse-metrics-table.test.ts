import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConfigurationError } from '../../../src/errors.ts';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import type { CampaignMetrics } from '../../../src/metrics/contract/campaign-metrics-fields.ts';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';
import { sendError, sendJson, startServer } from '../../dataverse/http-server.ts';
import { record } from '../metrics-world.ts';
import { connectTable } from '../sample-table.ts';

let dataverse: SampleDataverse;
beforeAll(async () => {
  dataverse = await startSampleDataverse({ rows: 100 });
});
afterAll(() => dataverse.stop());

const guard = { signal: AbortSignal.timeout(60_000) };
const rowOf = (value: CampaignMetrics) => ({ id: campaignMetricsId(value), record: value });
const truth = () => dataverse.store.truth('apex_campaignmetrics');

test('creates and updates with one request each, and keeps all decimal places', async () => {
  const { table } = connectTable(dataverse.url);
  const value = record({ campaignId: 'one', costUSD: 0.00001, successRate: 66.67 });
  const created = await table.write(rowOf(value), guard);
  expect(created).toEqual({ created: true, row: rowOf(value) });
  const updated = await table.write(rowOf({ ...value, costUSD: 99999.99999 }), guard);
  expect(updated).toMatchObject({ created: false, row: { record: { costUSD: 99999.99999 } } });
  expect(truth().get(rowOf(value).id)).toMatchObject({ apex_campaignid: 'one' });
  expect(String(truth().get(rowOf(value).id)?.['apex_costusd'])).toContain('99999.99999');
  // Another instance does not know the version and updates the row, too.
  const again = await connectTable(dataverse.url).table.write(rowOf({ ...value, tokensIn: 3 }), guard);
  expect(again).toMatchObject({ created: false, row: { record: { tokensIn: 3 } } });
});

test('updates the row of another program with the same key', async () => {
  const { table } = connectTable(dataverse.url);
  const value = record({ campaignId: 'other / program' });
  const id = dataverse.store.create('apex_campaignmetrics', {
    apex_campaignid: value.campaignId,
    apex_runid: value.runId,
    apex_phase: value.phase,
  });
  const written = await table.write(rowOf(value), guard);
  expect(written).toMatchObject({ created: false, row: { id, record: { tokensIn: value.tokensIn } } });
  const neighbour = record({ campaignId: 'neighbour' });
  const both = [rowOf({ ...value, tokensIn: 2 }), rowOf(neighbour)];
  expect(await table.writeMany(both, guard)).toEqual([
    { created: false, id },
    { created: true, id: rowOf(neighbour).id },
  ]);
  const rows = [...truth().values()].filter((row) => row['apex_campaignid'] === 'other / program');
  expect(rows).toHaveLength(1);
  expect(Number(rows[0]!['apex_tokensin'])).toBe(2);
});

/** The requests that `work` sends to Dataverse. */
async function requestsOf(work: () => Promise<unknown>): Promise<number> {
  const before = dataverse.stats.requests;
  await work();
  return dataverse.stats.requests - before;
}
/** The results of rows that were written under the ids that they have in the list, or under these ids. */
const results = (rows: readonly { id: string }[], created: boolean, ids = rows.map(({ id }) => id)) =>
  ids.map((id) => ({ created, id }));

test('creates a thousand rows with three requests, and updates them with twelve', async () => {
  const { table } = connectTable(dataverse.url);
  const many = (tokensIn: number) =>
    Array.from({ length: 1000 }, (_, n) => rowOf(record({ campaignId: 'many', runId: `r${n}`, tokensIn })));
  const write = async (tokensIn: number, created: boolean) =>
    expect(await table.writeMany(many(tokensIn), guard)).toEqual(results(many(0), created));
  expect(await requestsOf(() => write(1, true))).toBe(3);
  expect(await requestsOf(() => write(2, false))).toBe(12);
  const values = many(0).map(({ id }) => Number(truth().get(id)?.['apex_tokensin']));
  expect(values).toEqual(Array(1000).fill(2));
});

test('remembers the rows that keep the id of an earlier version', async () => {
  const { table } = connectTable(dataverse.url);
  const rows = (tokensIn: number) =>
    Array.from({ length: 30 }, (_, n) => rowOf(record({ campaignId: 'kept', runId: `r${n}`, tokensIn })));
  const ids = rows(0).map(({ record: { campaignId, runId, phase } }) =>
    dataverse.store.create('apex_campaignmetrics', {
      apex_campaignid: campaignId,
      apex_runid: runId,
      apex_phase: phase,
    }),
  );
  const values = () => ids.map((id) => Number(truth().get(id)?.['apex_tokensin']));
  expect(await table.writeMany(rows(1), guard)).toEqual(results(rows(0), false, ids));
  expect(values()).toEqual(Array(30).fill(1));
  // One read of the versions, one batch.
  const again = async () =>
    expect(await table.writeMany(rows(2), guard)).toEqual(results(rows(0), false, ids));
  expect(await requestsOf(again)).toBe(2);
  expect(values()).toEqual(Array(30).fill(2));
  // Another program gives one of them another key: it stays as it is.
  dataverse.store.update('apex_campaignmetrics', ids[0]!, { apex_runid: 'renamed' });
  expect((await table.writeMany(rows(3), guard)).slice(0, 2)).toEqual([
    { created: true, id: rows(0)[0]!.id },
    { created: false, id: ids[1] },
  ]);
  expect(values()).toEqual([2, ...Array(29).fill(3)]);
});

test('comes closer to its end with each call that runs out of time', async () => {
  const { table } = connectTable(dataverse.url, { bulkTimeoutMs: 1_000 });
  const rows = Array.from({ length: 30 }, (_, n) => rowOf(record({ campaignId: 'slow', runId: `r${n}` })));
  const ids = rows.map(({ record: { campaignId, runId, phase } }) =>
    dataverse.store.create('apex_campaignmetrics', {
      apex_campaignid: campaignId,
      apex_runid: runId,
      apex_phase: phase,
    }),
  );
  let lookUps = 0;
  const isLookUp = ({ query }: { query: string }) => decodeURIComponent(query).includes(' eq ');
  const counter = dataverse.faults.add({
    kind: 'timeout',
    match: (request) => {
      if (isLookUp(request)) lookUps += 1;
      return false;
    },
  });
  // The rows are looked up by key, eight at a time. From the 21st on there is no answer.
  const silent = { kind: 'timeout', match: isLookUp, after: 20, times: Number.POSITIVE_INFINITY } as const;
  const fault = dataverse.faults.add(silent);
  const first = await table.writeMany(rows, guard);
  expect(first.every((result) => 'unknown' in result)).toBe(true);
  fault.remove();
  lookUps = 0;
  expect(await table.writeMany(rows, guard)).toEqual(results(rows, false, ids));
  expect(lookUps).toBe(10);
  counter.remove();
});

test('writes new, existing, changed and rejected rows of one list', async () => {
  const { table } = connectTable(dataverse.url);
  const row = (runId: string, more: Partial<CampaignMetrics> = {}) =>
    rowOf(record({ campaignId: 'mixed', runId, ...more }));
  for (const runId of ['existing', 'changed']) await table.write(row(runId), guard);
  // This instance knows a version that is no longer the newest.
  dataverse.store.update('apex_campaignmetrics', row('changed').id, { apex_tokensin: 99 });
  const tooLong = row('rejected', { phase: 'x'.repeat(2_000) });
  const rows = [row('new'), row('existing', { tokensIn: 2 }), row('changed', { tokensIn: 3 }), tooLong];
  const written = await table.writeMany(rows, guard);
  expect(written).toEqual([
    ...results(rows.slice(0, 1), true),
    ...results(rows.slice(1, 3), false),
    { refused: expect.objectContaining({ name: 'DataverseError' }) },
  ]);
  const values = rows.map(({ id }) => truth().get(id)?.['apex_tokensin']);
  expect(values.map((value) => value && Number(value))).toEqual([1000, 2, 3, undefined]);
});

test('writes row by row where neither bulk messages nor batches are let through', async () => {
  const { table } = connectTable(dataverse.url);
  const rows = (tokensIn: number) =>
    Array.from({ length: 5 }, (_, n) => rowOf(record({ campaignId: 'gateway', runId: `r${n}`, tokensIn })));
  const closed = { kind: 'error', status: 405, code: '0x80060888', message: 'Not supported' } as const;
  const faults = [/CreateMultiple/, /\$batch/].map((match) =>
    dataverse.faults.add({ ...closed, match, times: Number.POSITIVE_INFINITY }),
  );
  expect(await table.writeMany(rows(1), guard)).toEqual(results(rows(0), true));
  expect(await table.writeMany(rows(2), guard)).toEqual(results(rows(0), false));
  for (const fault of faults) fault.remove();
  expect(rows(0).map(({ id }) => Number(truth().get(id)?.['apex_tokensin']))).toEqual(Array(5).fill(2));
});

test('writes nothing if the caller may no longer write once the versions are read', async () => {
  const { table } = connectTable(dataverse.url);
  const row = rowOf(record({ campaignId: 'lost' }));
  const confirm = () => {
    throw new Error('the lease is lost');
  };
  await expect(table.writeMany([row], { ...guard, confirm })).rejects.toThrow('the lease is lost');
  expect(truth().has(row.id)).toBe(false);
});

test('takes two spellings of a key for one row, whichever row exists', async () => {
  const { table } = connectTable(dataverse.url);
  const value = record({ campaignId: 'Case' });
  await table.write(rowOf(value), guard);
  const written = await table.write(rowOf({ ...value, campaignId: 'CASE  ', tokensIn: 2 }), guard);
  expect(written).toMatchObject({ created: false, row: { id: rowOf(value).id } });
  // An earlier version of this app gave each spelling an id of its own.
  const other = record({ campaignId: 'Earlier' });
  const id = dataverse.store.create('apex_campaignmetrics', {
    apex_campaignid: 'EARLIER',
    apex_runid: other.runId,
    apex_phase: other.phase,
  });
  expect(await table.write(rowOf(other), guard)).toMatchObject({ created: false, row: { id } });
  const names = [...truth().values()].map((row) => String(row['apex_campaignid']).toLowerCase().trim());
  expect(names.filter((name) => name === 'case' || name === 'earlier').sort()).toEqual(['case', 'earlier']);
});

test('rejects a record whose key Dataverse takes for that of another one, and leaves that one alone', async () => {
  const existing = { apex_campaignmetricsid: '00000000-0000-4000-8000-000000000001', '@odata.etag': 'W/"1"' };
  await using server = await startServer((request, response) => {
    if (request.method === 'GET') {
      const isByKey = decodeURIComponent(request.url!).includes(' eq ');
      const rows = isByKey
        ? [{ ...existing, apex_campaignid: 'strasse', apex_runid: 'run-1', apex_phase: '2-3' }]
        : [];
      return sendJson(response, { value: rows });
    }
    if (request.url!.endsWith('$batch')) return sendError(response, 405, '0x80060888', 'Not supported');
    return sendError(response, 412, '0x80060892', 'Entity Key violated.');
  });
  const { table } = connectTable(server.url);
  const row = rowOf(record({ campaignId: 'straße' }));
  await expect(table.write(row, guard)).rejects.toThrow(existing.apex_campaignmetricsid);
  expect(await table.writeMany([row], guard)).toMatchObject([{ refused: { name: 'SyncError' } }]);
  const updates = server.requests.filter(({ headers }) => headers['if-match'] !== undefined);
  expect(updates).toEqual([]);
});

test('reports faults of the setup as such, not as rejected records', async () => {
  const missing = connectTable(dataverse.url, { entitySet: 'apex_nothings' });
  await expect(missing.table.write(rowOf(record()), guard)).rejects.toThrow(ConfigurationError);
  const before = dataverse.stats.requests;
  const rows = Array.from({ length: 50 }, (_, n) => rowOf(record({ runId: `m${n}` })));
  const unknown = { unknown: expect.any(ConfigurationError) as Error };
  expect(await missing.table.writeMany(rows, guard)).toEqual(rows.map(() => unknown));
  expect(dataverse.stats.requests - before).toBe(1);
  const prefix = connectTable(dataverse.url, { prefix: 'other_' });
  await expect(prefix.table.write(rowOf(record()), guard)).rejects.toThrow(ConfigurationError);
  dataverse.faults.add({
    kind: 'error',
    status: 403,
    code: '0x80040220',
    message: 'Principal user is missing prvCreateapex_CampaignMetrics privilege',
  });
  const denied = connectTable(dataverse.url).table.write(rowOf(record({ runId: 'denied' })), guard);
  await expect(denied).rejects.toThrow(ConfigurationError);
});
