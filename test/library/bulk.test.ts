import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  type Dataverse,
  DuplicateError,
  RequestError,
  type Table,
  TransientError,
} from '../../src/library/dataverse.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { sendJson, startServer } from '../dataverse/http-server.ts';
import { connect } from './sample.ts';

let sample: SampleDataverse;
let dataverse: Dataverse;
let accounts: Table;

beforeAll(async () => {
  sample = await startSampleDataverse({ rows: 300 });
  dataverse = connect(sample);
  accounts = dataverse.table('account');
  await accounts.definition();
});

afterEach(() => sample.faults.clear());
afterAll(() => sample.stop());

const nowhere = '00000000-0000-4000-8000-00000000dead';
const id = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;

test('creates all valid rows and names each invalid one', async () => {
  const rows = Array.from({ length: 40 }, (_, index) =>
    index === 7 || index === 31 ? { nothing: index } : { name: `row ${index}` },
  );
  const seen: number[] = [];
  const result = await accounts.createMany(rows, {
    maxRows: 20,
    onProgress: (settled) => seen.push(settled),
  });
  expect(result.failed.map(({ index }) => index)).toEqual([7, 31]);
  expect(result.failed[0]!.reason).toBeInstanceOf(RequestError);
  expect(result.succeeded).toBe(38);
  expect(seen.at(-1)).toBe(40);
  const truth = sample.store.truth('account');
  for (const [index, outcome] of result.outcomes.entries()) {
    if (outcome.status === 'fulfilled')
      expect(truth.get(outcome.value)).toMatchObject({ name: `row ${index}` });
  }
  expect(() => result.valuesOrThrow()).toThrow('2 of 40 rows were not written');
});

test('updates and upserts many, also by alternate key', async () => {
  const ids = (await accounts.createMany([{ name: 'a' }, { name: 'b' }])).valuesOrThrow();
  const updated = await accounts.updateMany([
    { accountid: ids[0]!, name: 'A' },
    { accountid: nowhere, name: 'x' },
    { accountid: ids[1]!, name: 'B' },
  ]);
  expect(updated.failed).toMatchObject([{ index: 1, reason: { name: 'NotFoundError' } }]);
  expect(sample.store.truth('account').get(ids[1]!)).toMatchObject({ name: 'B' });
  expect(sample.store.truth('account').has(nowhere)).toBe(false);
  const metrics = dataverse.table('apex_campaignmetrics');
  const { columns } = sample.store.table('apex_campaignmetrics').alternateKeys[0]!;
  const key = (value: string) => Object.fromEntries(columns.map((name) => [name, value]));
  const rows = [
    { key: key("O'Brien"), values: { apex_tokensin: 1, ...key("O'Brien") } },
    { key: id(5), values: { apex_tokensin: 2 } },
  ];
  (await metrics.upsertMany(rows)).valuesOrThrow();
  expect(await metrics.retrieve(key("O'Brien"))).toMatchObject({ apex_tokensin: 1 });
  expect(await metrics.retrieve(id(5))).toMatchObject({ apex_tokensin: 2 });
});

test('deletes many and says which existed', async () => {
  const ids = (await accounts.createMany([{ name: 'a' }, { name: 'b' }, { name: 'c' }])).valuesOrThrow();
  const before = dataverse.stats.requests;
  const result = await accounts.deleteMany([ids[0]!, nowhere, ids[1]!, ids[2]!], { maxRows: 3 });
  expect(result.valuesOrThrow()).toEqual([true, false, true, true]);
  expect(dataverse.stats.requests - before).toBe(2);
});

test('never sends a create again that Dataverse may have executed, says so, and goes on', async () => {
  sample.faults.add({ kind: 'commit-then-reset', match: /CreateMultiple/, times: 1 });
  const count = sample.store.count('account');
  const result = await accounts.createMany([{ name: 'a' }, { name: 'b' }, { name: 'c' }], { maxRows: 2 });
  expect(result.outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
  expect(result.failed[0]!.reason).toBeInstanceOf(TransientError);
  expect(result.failed[0]!.reason).toMatchObject({ maybeExecuted: true });
  expect(sample.store.count('account')).toBe(count + 3);
});

test('gives up after three faults in a row, and names the rows that were not sent', async () => {
  sample.faults.add({ kind: 'reset', match: /CreateMultiple/, times: 100 });
  const before = dataverse.stats.requests;
  const rows = Array.from({ length: 10 }, () => ({ name: 'x' }));
  const result = await accounts.createMany(rows, { maxRows: 2 });
  expect(dataverse.stats.requests - before).toBe(3);
  expect(result.failed).toHaveLength(6);
  expect(result.skipped).toEqual([6, 7, 8, 9]);
});

test('creates each row once with ids of its own, whatever happens to the responses', async () => {
  for (const kind of ['truncate', 'commit-then-reset', 'reset', '502-html'] as const) {
    sample.faults.add({ kind, match: /CreateMultiple/, times: 1 });
  }
  const count = sample.store.count('account');
  const rows = Array.from({ length: 200 }, (_, index) =>
    index === 60 ? { nothing: 1 } : { name: `${index}` },
  );
  const result = await accounts.createMany(rows, { maxRows: 20, assignIds: true });
  expect(result.failed).toMatchObject([{ index: 60, reason: expect.any(RequestError) }]);
  expect(sample.store.count('account')).toBe(count + 199);
  const truth = sample.store.truth('account');
  for (const [index, outcome] of result.outcomes.entries()) {
    if (outcome.status === 'fulfilled') expect(truth.get(outcome.value)).toMatchObject({ name: `${index}` });
  }
});

test('says that rows may exist if the answer after a lost response cannot be read', async () => {
  sample.faults.add({ kind: 'commit-then-reset', match: /CreateMultiple/, times: 1 });
  sample.faults.add({ kind: 'error', match: /CreateMultiple/, status: 412, code: '', message: '' });
  const result = await accounts.createMany([{ name: 'a' }, { name: 'b' }], { assignIds: true });
  expect(result.failed).toHaveLength(2);
  expect(result.failed[0]!.reason).toMatchObject({ name: 'TransientError', maybeExecuted: true });
});

test('repeats updates and upserts without harm', async () => {
  sample.faults.add({ kind: 'commit-then-reset', match: /UpsertMultiple/, times: 1 });
  const result = await accounts.upsertMany([{ key: id(8), values: { name: 'again' } }]);
  expect(result.succeeded).toBe(1);
  expect(dataverse.stats.retries).toBeGreaterThan(0);
});

test('writes in batches where a table has no bulk message', async () => {
  sample.faults.add({
    kind: 'error',
    match: /CreateMultiple/,
    status: 405,
    code: '0x80040800',
    message: 'not supported',
  });
  const rows = [{ name: 'one' }, { nothing: 1 }, { name: 'three' }];
  const result = await accounts.createMany(rows);
  expect(result.outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(result.failed[0]!.reason).toBeInstanceOf(RequestError);
});

test('takes the outcome of each row from an elastic table, which writes the valid ones', async () => {
  const details = [
    { RequestIndex: 0, Id: id(1), StatusCode: 204 },
    { RequestIndex: 1, Id: id(2), StatusCode: 412 },
  ];
  await using server = await startServer((_, response) =>
    sendJson(
      response,
      {
        error: {
          code: '0x80040237',
          message: 'One row failed.',
          '@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails': JSON.stringify(details),
        },
      },
      412,
    ),
  );
  const names = { logicalName: 'new_event', entitySet: 'new_events', primaryId: 'new_eventid' };
  const table = connect(server).table({ ...names });
  const result = await table.createMany([{ new_name: 'a' }, { new_name: 'b' }]);
  expect(result.outcomes).toMatchObject([
    { status: 'fulfilled', value: id(1) },
    { status: 'rejected', reason: expect.any(DuplicateError) },
  ]);
  expect(server.requests).toHaveLength(1);
  expect(server.requests[0]!.headers['prefer']).toContain('ErrorDetails.*');
});
