import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import type { ExportStatus } from '../../src/sync/export/export-status.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { Fabric } from '../fabric/fabric.ts';
import { type DeployedApp, deploy } from '../package/deployed-app.ts';

const root = resolve(import.meta.dirname, '../..');
let azurite: Azurite;
let dataverse: SampleDataverse;
let app: DeployedApp;
let folder: string;
let blobs: BlobServiceClient;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'export-'));
  writeFileSync(join(folder, 'entities.json'), '["account", "contact"]');
  azurite = await startAzurite();
  blobs = BlobServiceClient.fromConnectionString(azurite.connectionString);
  dataverse = await startSampleDataverse({ rows: 200 });
  const environment = {
    AzureWebJobsStorage: azurite.connectionString,
    DATAVERSE_URL: dataverse.url,
    DATAVERSE_ACCESS_TOKEN: 'test',
    SYNC_SCHEDULE: '0 0 0 1 1 *',
    SYNC_ENTITIES_FILE: join(folder, 'entities.json'),
    // As an address: the app finds that it is in the account that it has a connection string of.
    FABRIC_LANDING_ZONE: `${blobs.url}/lake/item/Files/LandingZone`,
  };
  app = await deploy(root, environment, folder);
});
afterAll(async () => {
  app?.stop();
  await dataverse.stop();
  await azurite.stop();
  rmSync(folder, { recursive: true });
});

const exported = async (): Promise<ExportStatus> =>
  ((await (await app.fetch('sync')).json()) as { export: ExportStatus }).export;

it('the functions export what a run changed, and say how far they are', async () => {
  const fabric = new Fabric(blobs.getContainerClient('lake'), 'item/Files/LandingZone');
  expect(await exported()).toMatchObject({
    state: 'behind',
    failures: [],
    tables: { exported: 0, total: 0 },
  });
  for (const name of ['First', 'Second']) {
    dataverse.store.create('account', { name });
    const { runId } = (await (await app.fetch('sync', { method: 'POST' })).json()) as { runId: string };
    const phase = async () => ((await (await app.fetch(`sync/${runId}`)).json()) as { phase: string }).phase;
    await expect.poll(phase, { timeout: 120_000, interval: 200 }).toBe('complete');
    const state = async () => (await exported()).state;
    await expect.poll(state, { interval: 200 }).toBe('complete');
    await fabric.mirror();
    const database = await blobs
      .getContainerClient('dataverse')
      .getBlobClient('dataverse.db')
      .downloadToBuffer();
    expect(fabric.differences([database])).toEqual([]);
  }
  expect([...fabric.tables.get('accounts')!.rows.values()].map(({ name }) => name)).toContain('Second');
  expect(await exported()).toMatchObject({ tables: { exported: 2, total: 2 }, unstorable: [] });
  const page = await (await app.fetch('pages/quality')).text();
  expect(page).toContain('Export to Microsoft Fabric');
  expect(page).toContain('The landing zone has all that the mirror has.');
});
