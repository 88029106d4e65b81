import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Dataverse, reference, type Table, UsageError } from '../../src/library/dataverse.ts';
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

const id = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
const statuses = (outcomes: readonly { status: string }[]) => outcomes.map(({ status }) => status);
const unsupported = () =>
  sample.faults.add({
    kind: 'error',
    match: /Multiple/,
    status: 405,
    code: '0x80040800',
    message: 'not supported',
  });

test.each([[false], [true]])(
  'never repeats a request of which an elastic table wrote rows: assignIds %s',
  async (assignIds) => {
    const details = [
      { RequestIndex: 0, Id: id(1), StatusCode: 204 },
      { RequestIndex: 1, Id: id(2), StatusCode: 429 },
    ];
    const name = '@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails';
    const error = { code: '429', message: 'Too many requests', [name]: JSON.stringify(details) };
    await using server = await startServer((_, response) =>
      sendJson(response, { error }, 429, { 'retry-after': '0' }),
    );
    const names = { logicalName: 'new_event', entitySet: 'new_events', primaryId: 'new_eventid' };
    const table = connect(server).table({ ...names });
    const rows = [{ new_name: 'a' }, { new_name: 'b' }, { new_name: 'not in the details' }];
    const { outcomes } = await table.createMany(rows, { assignIds });
    expect(server.requests).toHaveLength(1);
    expect(outcomes).toMatchObject([
      { status: 'fulfilled', value: id(1) },
      { status: 'rejected', reason: { name: 'ThrottlingError', isTransient: true } },
      { status: 'rejected' },
    ]);
  },
);

test('refuses numbers with which nothing would be sent', async () => {
  for (const value of [0, -1, Number.NaN, 1.5]) {
    for (const options of [{ maxRows: value }, { concurrency: value }]) {
      await expect(accounts.deleteMany([id(1)], options)).rejects.toThrow(UsageError);
      await expect(accounts.createMany([{ name: 'x' }], options)).rejects.toThrow(UsageError);
    }
    const xml = '<fetch><entity name="account"/></fetch>';
    await expect(accounts.fetchXml(xml, { pageSize: value }).toArray()).rejects.toThrow(UsageError);
    const file = accounts.file(id(1), 'new_contract');
    const chunks = { chunkBytes: value };
    await expect(file.bytes(chunks)).rejects.toThrow(UsageError);
    await expect(file.upload('a', new Uint8Array(1), chunks)).rejects.toThrow(UsageError);
    await expect(file.upload('a', new Uint8Array(1), { ...chunks, mimeType: 'a/b' })).rejects.toThrow(
      UsageError,
    );
  }
});

test('rejects a row that cannot be sent, and only that', async () => {
  const ids = (await accounts.createMany([{ name: 'a' }, { name: 'b' }])).valuesOrThrow();
  const deleted = await accounts.deleteMany([ids[0]!, 'not an id', ids[1]!]);
  expect(statuses(deleted.outcomes)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(deleted.failed[0]!.reason).toBeInstanceOf(UsageError);
  const created = await accounts.createMany([
    { name: 'c' },
    { name: 'd', primarycontactid: reference('contacts', 'not an id') },
  ]);
  expect(statuses(created.outcomes)).toEqual(['fulfilled', 'rejected']);
  expect(created.failed[0]!.reason).toBeInstanceOf(UsageError);
  const own = created.outcomes[0]!.status === 'fulfilled' ? created.outcomes[0]!.value : '';
  const upserted = await accounts.upsertMany([
    { key: own, values: { name: 'C' } },
    { key: { "bad name'": 1 }, values: { name: 'x' } },
  ]);
  expect(statuses(upserted.outcomes)).toEqual(['fulfilled', 'rejected']);
  expect(upserted.failed[0]!.reason).toBeInstanceOf(UsageError);
  unsupported();
  const updated = await accounts.updateMany([{ accountid: own, name: 'E' }, { name: 'without an id' }]);
  expect(statuses(updated.outcomes)).toEqual(['fulfilled', 'rejected']);
  expect(updated.failed[0]!.reason).toBeInstanceOf(UsageError);
});

test('returns what is known of an aborted operation', async () => {
  for (const isBatch of [false, true]) {
    if (isBatch) unsupported();
    const controller = new AbortController();
    const rows = Array.from({ length: 30 }, () => ({ name: 'n' }));
    const result = await accounts.createMany(rows, {
      maxRows: 10,
      signal: controller.signal,
      onProgress: (settled) => settled === 20 && controller.abort(new Error('stop')),
    });
    expect(result.succeeded).toBe(20);
    expect(result.skipped).toHaveLength(10);
  }
});

test('sends deletes at the same time if asked to', async () => {
  let running = 0;
  let most = 0;
  await using server = await startServer(async (_, response) => {
    running += 1;
    most = Math.max(most, running);
    // The first waits for the second.
    while (most < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    response.writeHead(400).end();
  });
  const table = connect(server).table({
    logicalName: 'account',
    entitySet: 'accounts',
    primaryId: 'accountid',
  });
  await table.deleteMany([id(1), id(2)], { maxRows: 1, concurrency: 2 });
  expect(most).toBe(2);
});
