import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConfigurationError } from '../../../src/errors.ts';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import type { CampaignMetrics } from '../../../src/metrics/contract/campaign-metrics-fields.ts';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';
import { record } from '../metrics-world.ts';
import { connectTable } from '../sample-table.ts';

let dataverse: SampleDataverse;
beforeAll(async () => {
  dataverse = await startSampleDataverse({ rows: 100 });
});
afterAll(() => dataverse.stop());

const signal = AbortSignal.timeout(60_000);
const rowOf = (value: CampaignMetrics) => ({ id: campaignMetricsId(value), record: value });
const truth = () => dataverse.store.truth('apex_campaignmetrics');

test('creates and updates with one request each, and keeps all decimal places', async () => {
  const { table } = connectTable(dataverse.url);
  const value = record({ campaignId: 'one', costUSD: 0.00001, successRate: 66.67 });
  const created = await table.write(rowOf(value), signal);
  expect(created).toEqual({ created: true, row: rowOf(value) });
  const updated = await table.write(rowOf({ ...value, costUSD: 99999.99999 }), signal);
  expect(updated).toMatchObject({ created: false, row: { record: { costUSD: 99999.99999 } } });
  expect(truth().get(rowOf(value).id)).toMatchObject({ apex_campaignid: 'one' });
  expect(String(truth().get(rowOf(value).id)?.['apex_costusd'])).toContain('99999.99999');
  // Another instance does not know the version and updates the row, too.
  const again = await connectTable(dataverse.url).table.write(rowOf({ ...value, tokensIn: 3 }), signal);
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
  const written = await table.write(rowOf(value), signal);
  expect(written).toMatchObject({ created: false, row: { id, record: { tokensIn: value.tokensIn } } });
  const neighbour = record({ campaignId: 'neighbour' });
  expect(await table.writeMany([rowOf({ ...value, tokensIn: 2 }), rowOf(neighbour)], signal)).toEqual([]);
  const rows = [...truth().values()].filter((row) => row['apex_campaignid'] === 'other / program');
  expect(rows).toHaveLength(1);
  expect(Number(rows[0]!['apex_tokensin'])).toBe(2);
});

test('writes many rows in one request and knows which existed', async () => {
  const { table } = connectTable(dataverse.url);
  const rows = Array.from({ length: 1000 }, (_, n) => rowOf(record({ campaignId: 'many', runId: `r${n}` })));
  const ids = rows.map((row) => row.id);
  expect(await table.existing(ids, signal)).toEqual(new Set());
  const before = dataverse.stats.requests;
  expect(await table.writeMany(rows, signal)).toEqual([]);
  expect(dataverse.stats.requests - before).toBe(1);
  expect(await table.existing(ids, signal)).toEqual(new Set(ids));
});

test('reports faults of the setup as such, not as rejected records', async () => {
  const missing = connectTable(dataverse.url, { entitySet: 'apex_nothings' });
  await expect(missing.table.write(rowOf(record()), signal)).rejects.toThrow(ConfigurationError);
  const before = dataverse.stats.requests;
  const rows = Array.from({ length: 50 }, (_, n) => rowOf(record({ runId: `m${n}` })));
  await expect(missing.table.writeMany(rows, signal)).rejects.toThrow(ConfigurationError);
  expect(dataverse.stats.requests - before).toBe(1);
  const prefix = connectTable(dataverse.url, { prefix: 'other_' });
  await expect(prefix.table.write(rowOf(record()), signal)).rejects.toThrow(ConfigurationError);
  dataverse.faults.add({
    kind: 'error',
    status: 403,
    code: '0x80040220',
    message: 'Principal user is missing prvCreateapex_CampaignMetrics privilege',
  });
  const denied = connectTable(dataverse.url).table.write(rowOf(record({ runId: 'denied' })), signal);
  await expect(denied).rejects.toThrow(ConfigurationError);
});
