import { HttpRequest } from '@azure/functions';
import { BlobServiceClient } from '@azure/storage-blob';
import { expect, test } from 'vitest';
import { invalidSettings } from '../../../src/config/invalid-settings.ts';
import { getHealth, type Health, type HealthSources } from '../../../src/http/operations/get-health.ts';
import { WorkStore } from '../../../src/storage/work-store.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import { lastSuccess } from '../../../src/sync/run/last-success.ts';
import { startAzurite } from '../../azurite.ts';
import { memoryStorage } from '../../sync/memory-storage.ts';

const valid = () => ({ faults: [], names: [] });
const request = new HttpRequest({ method: 'GET', url: 'http://localhost/api/health' });

async function ask(handler: ReturnType<typeof getHealth>): Promise<{ status: number; body: Health }> {
  const { status, jsonBody } = await handler(undefined, request);
  return { status: status!, body: jsonBody };
}

test('200 with the version and the last success; many requests cost one read of storage', async () => {
  let reads = 0;
  let asked = 0;
  const sources: HealthSources = {
    invalidSettings: valid,
    lastSuccess: async () => {
      reads++;
      return '2026-11-20T12:00:00.000Z';
    },
    askDatabase: async () => asked++,
  };
  const handler = getHealth(sources);
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask(handler)));
  answers.push(await ask(handler));
  for (const { status, body } of answers) {
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'healthy', storage: 'available', invalidSettings: [] });
    expect(body).toMatchObject({
      lastSuccess: '2026-11-20T12:00:00.000Z',
      version: expect.stringMatching(/^\d/),
    });
  }
  expect([reads, asked]).toEqual([1, 1]);
  const forgetful = getHealth(sources, { keepMilliseconds: 0 });
  await ask(forgetful);
  await ask(forgetful);
  expect([reads, asked]).toEqual([3, 3]);
});

const askDatabase = async () => undefined;

test('503 if the account of the database does not answer', async () => {
  const azurite = await startAzurite();
  const stores = (connectionString: string) =>
    new WorkStore(BlobServiceClient.fromConnectionString(connectionString).getContainerClient('dataverse'));
  const available = stores(azurite.connectionString);
  const closed = stores(azurite.connectionString.replace(/(BlobEndpoint=http:\/\/[^:]+):\d+/, '$1:1'));
  const healthOf = (published: WorkStore) =>
    ask(
      getHealth(
        {
          invalidSettings: valid,
          lastSuccess: () => lastSuccess({ work: available }),
          askDatabase: () => published.exists('dataverse.db'),
        },
        { timeoutMilliseconds: 2_000 },
      ),
    );
  // Neither the container nor the database exists before the first run.
  expect(await healthOf(available)).toMatchObject({ status: 200, body: { storage: 'available' } });
  expect(await healthOf(closed)).toMatchObject({ status: 503, body: { storage: 'unavailable' } });
  await azurite.stop();
});

test('503 if the storage fails or does not answer in time', async () => {
  const failing = getHealth({
    invalidSettings: valid,
    lastSuccess: () => Promise.reject(new Error('secret')),
    askDatabase,
  });
  const late = getHealth(
    { invalidSettings: valid, lastSuccess: () => new Promise(() => undefined), askDatabase },
    { timeoutMilliseconds: 20 },
  );
  for (const handler of [failing, late]) {
    const { status, body } = await ask(handler);
    expect(status).toBe(503);
    expect(body).toMatchObject({ status: 'unhealthy', storage: 'unavailable', lastSuccess: null });
    expect(JSON.stringify(body)).not.toContain('secret');
  }
});

test('503 with the names of invalid settings, never with their values, and without a read of storage', async () => {
  const handler = getHealth({
    invalidSettings: () =>
      invalidSettings({
        DATAVERSE_URL: 'http://user:secret@contoso',
        AzureWebJobsStorage: 'AccountKey=secret',
        METRICS_BULK_SIZE: 'secret',
        SYNC_SCHEDULE: 'secret',
      }),
    lastSuccess: () => expect.unreachable(),
    askDatabase: () => expect.unreachable(),
  });
  const { status, body } = await ask(handler);
  expect(status).toBe(503);
  expect(body.invalidSettings).toEqual(
    expect.arrayContaining(['DATAVERSE_URL', 'AzureWebJobsStorage', 'METRICS_BULK_SIZE', 'SYNC_SCHEDULE']),
  );
  expect(body.invalidSettings).not.toContain('SYNC_WORK_CONTAINER');
  expect(JSON.stringify(body)).not.toContain('secret');
});

test('an unexpected error reaches the request that asked, and not the process', async () => {
  const rejections: unknown[] = [];
  const note = (error: unknown) => void rejections.push(error);
  process.on('unhandledRejection', note);
  const handler = getHealth({
    invalidSettings: () => {
      throw new TypeError('boom');
    },
    lastSuccess: () => expect.unreachable(),
    askDatabase,
  });
  await expect(ask(handler)).rejects.toThrow('boom');
  await new Promise((done) => setTimeout(done, 10));
  process.off('unhandledRejection', note);
  expect(rejections).toEqual([]);
});

test.each([
  { phase: 'complete', finishedAt: { secret: 'any JSON' } },
  { phase: 'complete', entities: [null], finishedAt: '2026-01-01T00:00:00Z' },
  { phase: 'complete', entities: 'x', finishedAt: '2026-01-01T00:00:00Z' },
  null,
  5,
])('a run.json that is replaced by %j is no success, and nobody sees it', async (value) => {
  const { work } = memoryStorage();
  await work.put(paths.run('20260101T000000Z-00000000'), value);
  const { status, body } = await ask(
    getHealth({ invalidSettings: valid, lastSuccess: () => lastSuccess({ work }), askDatabase }),
  );
  expect(status).toBe(200);
  expect(body.lastSuccess).toBeNull();
});
