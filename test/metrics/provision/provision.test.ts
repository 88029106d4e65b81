import { afterEach, beforeEach, expect, test } from 'vitest';

import { readMetricsSettings } from '../../../src/config/metrics-settings.ts';
import { createDataverseClient } from '../../../src/dataverse/client.ts';
import { createCredential } from '../../../src/dataverse/credential.ts';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';
import { MetadataApi } from '../../../src/metrics/provision/metadata-api.ts';
import { provision } from '../../../src/metrics/provision/provision.ts';
import { record } from '../metrics-world.ts';
import { connectTable } from '../sample-table.ts';

let dataverse: SampleDataverse;
let lines: string[];
const settings = readMetricsSettings({});

beforeEach(async () => {
  lines = [];
  dataverse = await startSampleDataverse({ rows: 50, campaignMetrics: false });
});
afterEach(() => dataverse.stop());

const api = () => {
  const credential = createCredential({ accessToken: 'test' });
  return new MetadataApi(createDataverseClient({ url: dataverse.url, credential }));
};

function run(dryRun = false, changed = settings): Promise<boolean> {
  lines = [];
  return provision(api(), changed, { dryRun, keyPauseMs: 10 }, (line) => lines.push(line));
}

const write = async () => {
  const value = record();
  const row = { id: campaignMetricsId(value), record: value };
  return (await connectTable(dataverse.url).table.write(row, { signal: AbortSignal.timeout(10_000) })).row
    .record;
};

test('creates the table with its 13 columns, key and change tracking; a second run changes nothing', async () => {
  expect(await run(true)).toBe(true);
  expect(lines.filter((line) => line.startsWith('would create the column'))).toHaveLength(12);
  await expect(write()).rejects.toThrow();
  expect(await run()).toBe(true);
  const table = await api().readTable(settings.table);
  expect(table).toMatchObject({ EntitySetName: 'apex_campaignmetricses', ChangeTrackingEnabled: true });
  const own = [...table!.columns.keys()].filter(
    (name) => name.startsWith('apex_') && name !== 'apex_campaignmetricsid',
  );
  expect(own).toHaveLength(13);
  expect(table!.columns.get('apex_campaignid')).toMatchObject({ AttributeType: 'String', MaxLength: 64 });
  expect(table!.columns.get('apex_costusd')).toMatchObject({ AttributeType: 'Decimal', Precision: 5 });
  expect(table!.columns.get('apex_successrate')).toMatchObject({ AttributeType: 'Decimal', Precision: 2 });
  expect(table!.keys.map((key) => key.KeyAttributes)).toEqual([
    ['apex_campaignid', 'apex_runid', 'apex_phase'],
  ]);
  expect(await write()).toEqual(record());
  const writes = dataverse.stats.requests;
  expect(await run()).toBe(true);
  expect(lines[0]).toBe('The table apex_campaignmetrics is complete.');
  expect(dataverse.stats.requests - writes).toBeLessThan(30);
});

test('adds what an existing table lacks', async () => {
  await run();
  dataverse.schema.dropColumn(settings.table, 'apex_tokensout');
  dataverse.schema.dropColumn(settings.table, 'apex_createdat');
  dataverse.store.table(settings.table).changeTracking = false;
  expect(await run()).toBe(true);
  expect(lines.slice(0, 3)).toEqual([
    'create the column apex_tokensout (Integer)',
    'create the column apex_createdat (DateTime)',
    'enable change tracking',
  ]);
  expect(dataverse.store.table(settings.table).changeTracking).toBe(true);
  expect(await write()).toEqual(record());
});

test('reports differences and does not change them', async () => {
  await run();
  dataverse.schema.retypeColumn(settings.table, 'apex_runid', 'text:20');
  dataverse.schema.retypeColumn(settings.table, 'apex_costusd', 'double');
  expect(await run()).toBe(false);
  expect(lines.filter((line) => line.startsWith('attention'))).toEqual([
    'attention: the column apex_runid holds 20 characters instead of 64',
    'attention: the column apex_costusd is of type Double instead of Decimal',
  ]);
  expect(await run(false, { ...settings, entitySet: 'apex_others' })).toBe(false);
  expect(lines[0]).toContain('set METRICS_ENTITY_SET');
});

test('prints missing privileges and creates nothing without them', async () => {
  dataverse.store.deniedPrivileges.add('prvCreateEntity');
  expect(await run()).toBe(false);
  expect(lines[0]).toMatch(/an administrator must grant.*\n {2}prvCreateEntity/);
  expect(lines.filter((line) => line.startsWith('missing: create'))).toHaveLength(14);
  dataverse.store.deniedPrivileges.clear();
  await run();
  dataverse.store.deniedPrivileges.add('prvWriteapex_campaignmetrics');
  expect(await run()).toBe(false);
  expect(lines.at(-1)).toContain('prvWriteapex_campaignmetrics (organization level)');
  dataverse.store.deniedPrivileges.clear();
  dataverse.store.withoutOrganizationRead.add(settings.table);
  expect(await run()).toBe(false);
  expect(lines.at(-1)).toContain('prvReadapex_campaignmetrics (organization level)');
});
