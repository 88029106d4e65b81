import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { record } from '../metrics/metrics-world.ts';
import { type DeployedApp, deploy } from '../package/deployed-app.ts';

const root = resolve(import.meta.dirname, '../..');

describe('two function apps on one storage account', () => {
  const names = ['first', 'second'] as const;
  const dataverses: SampleDataverse[] = [];
  const apps: DeployedApp[] = [];
  let azurite: Azurite;
  let folder: string;

  const environment = (name: string, dataverse: SampleDataverse) => ({
    AzureWebJobsStorage: azurite.connectionString,
    DATAVERSE_URL: dataverse.url,
    DATAVERSE_ACCESS_TOKEN: 'test',
    SYNC_SCHEDULE: '0 0 0 1 1 *',
    SYNC_ENTITIES_FILE: join(folder, 'entities.json'),
    SYNC_QUEUE_PREFIX: name,
    SYNC_WORK_CONTAINER: `${name}-work`,
    SYNC_DATABASE_CONTAINER: `${name}-data`,
  });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'two-apps-'));
    writeFileSync(join(folder, 'entities.json'), '["account", "contact"]');
    azurite = await startAzurite();
    for (const [at, name] of names.entries()) {
      dataverses.push(await startSampleDataverse({ rows: 300 + 300 * at, seed: 1 + at }));
      apps.push(await deploy(root, environment(name, dataverses[at]!), folder));
    }
  });
  afterAll(async () => {
    for (const app of apps) app.stop();
    for (const dataverse of dataverses) await dataverse.stop();
    await azurite.stop();
    rmSync(folder, { recursive: true });
  });

  const start = async (app: DeployedApp) => {
    const started = await app.fetch('sync', { method: 'POST' });
    return { status: started.status, body: (await started.json()) as { runId: string; detail: string } };
  };

  it('each mirrors its own environment and writes its own metrics, at the same time', async () => {
    const runs = await Promise.all(apps.map(start));
    const body = (at: number) => JSON.stringify({ ...record(), campaignId: `campaign of ${names[at]}` });
    const headers = { 'content-type': 'application/json' };
    for (const [at, app] of apps.entries()) {
      const answer = await app.fetch('metrics/campaign', { method: 'POST', body: body(at), headers });
      expect(answer.status).toBe(201);
    }
    for (const [at, app] of apps.entries()) {
      const phase = async () =>
        ((await (await app.fetch(`sync/${runs[at]!.body.runId}`)).json()) as { phase: string }).phase;
      await expect.poll(phase, { timeout: 120_000, interval: 200 }).toBe('complete');
      const file = join(folder, `${names[at]}.db`);
      await BlobServiceClient.fromConnectionString(azurite.connectionString)
        .getContainerClient(`${names[at]}-data`)
        .getBlobClient('dataverse.db')
        .downloadToFile(file);
      using database = new DatabaseSync(file);
      const { store } = dataverses[at]!;
      const ids = database.prepare('SELECT accountid AS id FROM accounts').all() as { id: string }[];
      expect(new Set(ids.map(({ id }) => id))).toEqual(new Set(store.truth('account').keys()));
      const campaigns = [...store.truth('apex_campaignmetrics').values()].map(
        (row) => row['apex_campaignid'],
      );
      expect(campaigns).toContain(`campaign of ${names[at]}`);
      expect(campaigns).not.toContain(`campaign of ${names[1 - at]}`);
    }
    const service = QueueServiceClient.fromConnectionString(azurite.connectionString);
    const queues: string[] = [];
    for await (const { name } of service.listQueues()) queues.push(name);
    expect(queues.filter((queue) => !/^(?:first|second)-/.test(queue))).toEqual([]);
    for (const name of names) expect(queues).toContain(`${name}-plan`);
    for (const name of queues.filter((queue) => queue.endsWith('-poison'))) {
      const { approximateMessagesCount } = await service.getQueueClient(name).getProperties();
      expect(approximateMessagesCount, name).toBe(0);
    }
  });

  it('a third app that would use the queues of another one is refused', async () => {
    const settings = { ...environment('first', dataverses[0]!), SYNC_WORK_CONTAINER: 'third-work' };
    const third = await deploy(root, settings, folder);
    try {
      const { status, body } = await start(third);
      expect(status).toBe(500);
      expect(body.detail).toContain('belongs to another app (first-work)');
    } finally {
      third.stop();
    }
  });
});
