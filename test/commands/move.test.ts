import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { startPostgres, withClient } from '../postgres.ts';
import { Harness } from '../sync/harness.ts';

let azurite: Azurite;
let dataverse: SampleDataverse;
let folder: string;
beforeAll(async () => {
  azurite = await startAzurite();
  dataverse = await startSampleDataverse({ rows: 300 });
  folder = await mkdtemp(join(tmpdir(), 'move-'));
  await writeFile(join(folder, 'entities.json'), '["account", "contact"]');
});
afterAll(async () => {
  await dataverse.stop();
  await azurite.stop();
  await rm(folder, { recursive: true });
});

/** Runs the built command. */
function move(env: Record<string, string>, ...args: string[]) {
  const file = resolve(import.meta.dirname, '../../dist/cli/main.js');
  return new Promise<{ status: number; stdout: string; stderr: string }>((done) => {
    execFile(process.execPath, [file, 'move', ...args], { cwd: folder, env }, (error, stdout, stderr) => {
      done({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

test('npm run move takes the database of an account to PostgreSQL, and back to a blob', async () => {
  const harness = await Harness.create({
    dataverseUrl: dataverse.url,
    entities: ['account', 'contact'],
    connectionString: azurite.connectionString,
  });
  await harness.sync();
  const { containers } = harness.services.settings;
  const POSTGRES_URL = await (await startPostgres()).createDatabase();
  const env = {
    AzureWebJobsStorage: azurite.connectionString,
    SYNC_WORK_CONTAINER: containers.work,
    SYNC_DATABASE_CONTAINER: containers.database,
    SYNC_ENTITIES_FILE: join(folder, 'entities.json'),
    POSTGRES_URL,
  };
  const there = await move(env, '--to', 'postgres');
  expect(there).toMatchObject({ status: 0, stderr: '' });
  const accounts = dataverse.store.count('account');
  expect(there.stdout).toContain(`account: ${accounts} rows\n`);
  expect(there.stdout).toMatch(/rows of 2 tables moved, .*Set SYNC_TARGET=postgres/);
  const { rows } = await withClient(POSTGRES_URL, (client) =>
    client.query('SELECT count(*)::int AS n FROM dataverse.accounts'),
  );
  expect(rows).toEqual([{ n: accounts }]);

  const again = await move(env, '--to', 'postgres');
  expect(again.status).toBe(1);
  expect(again.stderr).toMatch(/has a mirror already[\s\S]*POSTGRES_SCHEMA/);

  const database = `back-${randomBytes(4).toString('hex')}`;
  const back = await move({ ...env, SYNC_DATABASE_CONTAINER: database }, '--to', 'sqlite', '--json');
  expect(back).toMatchObject({ status: 0, stderr: '' });
  expect(JSON.parse(back.stdout).tables).toContainEqual({ table: 'account', rows: accounts, notes: [] });
  const container = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(
    database,
  );
  expect((await container.getBlobClient('dataverse.db').getProperties()).contentLength).toBeGreaterThan(
    100_000,
  );
});

test('npm run move says what it needs', async () => {
  const env = { AzureWebJobsStorage: azurite.connectionString };
  expect((await move(env)).stderr).toContain('Give --to postgres or --to sqlite');
  expect((await move(env, '--to', 'postgres')).stderr).toContain('set POSTGRES_URL');
  const POSTGRES_URL = await (await startPostgres()).createDatabase();
  const nothing = await move(
    { ...env, POSTGRES_URL, SYNC_DATABASE_CONTAINER: 'nothing-here' },
    '--to',
    'postgres',
  );
  expect(nothing.stderr).toMatch(/There is no database dataverse\.db in the container nothing-here/);
  expect((await move({ ...env, POSTGRES_URL }, '--to', 'sqlite')).stderr).toMatch(/has no mirror/);
});
