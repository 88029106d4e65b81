import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gunzipSync } from 'node:zlib';
import { BlobServiceClient } from '@azure/storage-blob';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BuiltPackage, buildPackage } from '../../scripts/package/build-package.ts';
import { bundle } from '../../scripts/package/bundle.ts';
import { packageFolder } from '../../scripts/package/third-party.ts';
import { canMakeCertificate, makeCertificate } from '../../src/local/sample-dataverse/http/certificate.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { record } from '../metrics/metrics-world.ts';
import { startPostgres, withClient } from '../postgres.ts';
import { type DeployedApp, deploy } from './deployed-app.ts';

const root = resolve(import.meta.dirname, '../..');
const hasPython = spawnSync('python3', ['--version']).status === 0;
let folder: string;
let built: BuiltPackage;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'package-'));
  built = await buildPackage(root, join(folder, 'app'), {});
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the deployment package', () => {
  test('has what runs and nothing else, and zips to less than 5 MB', () => {
    const names = readdirSync(built.folder).sort();
    expect(names).toEqual([
      'LICENSE',
      'THIRD-PARTY-NOTICES.txt',
      'dist',
      'entities.json',
      'host.json',
      'package.json',
    ]);
    const manifest = JSON.parse(readFileSync(join(built.folder, 'package.json'), 'utf8'));
    expect(manifest).toMatchObject({ main: 'dist/index.js', type: 'module', engines: { node: '>=22' } });
    expect(Object.keys(manifest)).not.toContain('dependencies');
    expect(Object.keys(manifest)).not.toContain('scripts');
    expect(statSync(built.zip).size).toBeLessThan(5e6);
    const code = globSync('dist/*.{js,cjs}', { cwd: built.folder });
    for (const path of code) {
      const text = readFileSync(join(built.folder, path), 'utf8');
      // An error that nobody catches is logged with its whole line. Only long texts do not fit into one of 160.
      const lines = text.split('\n').map(({ length }) => length);
      expect(Math.max(...lines), path).toBeLessThan(5_000);
      // The emulators, and the parts of them that nobody may reach in Azure.
      expect(text, path).not.toContain('sample Dataverse');
      expect(text, path).not.toContain('azurite');
    }
  });

  test('zips the same files, at the root of the archive', () => {
    const files = unzipSync(readFileSync(built.zip));
    const paths = globSync('**/*.*', { cwd: built.folder }).concat('LICENSE').sort();
    expect(Object.keys(files).sort()).toEqual(paths);
    expect(Buffer.from(files['host.json']!)).toEqual(readFileSync(join(root, 'host.json')));
    // Another program reads it too, where there is one.
    if (hasPython) expect(() => execFileSync('python3', ['-m', 'zipfile', '-t', built.zip])).not.toThrow();
  });

  test('has the code of the web pages, and of threads', () => {
    const pages = ['dashboard.js', 'data.js', 'sqlite-worker.js', 'sqlite3.wasm'].map(
      (name) => `browser/${name}`,
    );
    for (const name of [...pages, 'reader.js', 'database-worker.js'])
      expect(statSync(join(built.folder, 'dist', name)).size, name).toBeGreaterThan(1000);
  });

  test('names the licence of each package that is in it', async () => {
    const out = join(folder, 'bundle');
    mkdirSync(out);
    const { inputs, outputs } = await bundle(root, out);
    const notices = readFileSync(join(built.folder, 'THIRD-PARTY-NOTICES.txt'), 'utf8');
    const folders = new Set(Object.keys(inputs).map((path) => packageFolder(path)));
    folders.delete(undefined);
    expect(folders.size).toBeGreaterThan(50);
    for (const path of folders) expect(notices).toContain(`${path!.replace(/^.*node_modules\//, '')} `);

    // Loading these takes longer than everything else together, so each waits until it is needed.
    const main = Object.entries(outputs).find(([path]) => basename(path) === 'index.js')![1];
    const atStart = new Set(Object.keys(main.inputs));
    const follow = (imports: typeof main.imports) => {
      for (const { path, kind } of imports) {
        if (kind !== 'import-statement' || outputs[path] === undefined) continue;
        for (const input of Object.keys(outputs[path].inputs)) atStart.add(input);
        follow(outputs[path].imports);
      }
    };
    follow(main.imports);
    const packages = new Set([...atStart].map((path) => packageFolder(path)));
    expect(packages).toContain('node_modules/zod');
    expect(packages).not.toContain('node_modules/applicationinsights');
    expect(packages).not.toContain('node_modules/@azure/identity');
    expect([...atStart].filter((path) => path.startsWith('src/local'))).toEqual([]);
  });
});

describe.skipIf(!canMakeCertificate())('deployed to an empty folder', () => {
  let azurite: Azurite;
  let dataverse: SampleDataverse;
  let app: DeployedApp;
  let ingestion: Server;
  let events = '';

  beforeAll(async () => {
    const { key, certificate } = makeCertificate();
    // What Application Insights answers. The SDK only speaks HTTPS.
    ingestion = createServer({ key, cert: certificate }, async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      events += request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ itemsReceived: 1, itemsAccepted: 1, errors: [] }));
    }).listen(0, '127.0.0.1');
    await once(ingestion, 'listening');
    const endpoint = `https://127.0.0.1:${(ingestion.address() as AddressInfo).port}/`;
    writeFileSync(join(folder, 'ca.pem'), certificate);

    azurite = await startAzurite();
    dataverse = await startSampleDataverse({ rows: 400 });
    const env = {
      AzureWebJobsStorage: azurite.connectionString,
      DATAVERSE_URL: dataverse.url,
      DATAVERSE_ACCESS_TOKEN: 'test',
      SYNC_SCHEDULE: '0 0 0 1 1 *',
      SYNC_ENTITIES_FILE: join(built.folder, 'entities.json'),
      // The database is worked on in a thread, whose code is a file of its own.
      SYNC_CACHE_MB: '0.001',
      APPLICATIONINSIGHTS_CONNECTION_STRING: `InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint=${endpoint};LiveEndpoint=${endpoint}`,
      APPLICATION_INSIGHTS_NO_STATSBEAT: '1',
      NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
    };
    // Not the folder of the package: nothing may depend on it but relative paths in settings.
    app = await deploy(built.folder, env, folder);
  });
  afterAll(async () => {
    app?.stop();
    ingestion?.close();
    await dataverse?.stop();
    await azurite?.stop();
  });

  test('every function is registered', () => {
    const files = globSync('functions/**/*.ts', { cwd: join(root, 'src') });
    expect([...app.functions].sort()).toEqual(files.map((path) => basename(path, '.ts')).sort());
  });

  test('a run goes to its end, and Application Insights gets its event', async () => {
    const started = await app.fetch('sync', { method: 'POST' });
    expect(started.status).toBe(202);
    const { runId } = (await started.json()) as { runId: string };
    const status = async () =>
      (await (await app.fetch(`sync/${runId}`)).json()) as { phase: string; totals: { failed: number } };
    await expect.poll(status, { timeout: 120_000, interval: 200 }).toMatchObject({ phase: 'complete' });
    expect((await status()).totals.failed).toBe(0);
    // A monitor has no key.
    const health = await fetch(`${app.url}/api/health`);
    expect(health.status).toBe(200);
    expect(health.headers.get('cache-control')).toBe('no-store');
    const { version } = JSON.parse(readFileSync(join(built.folder, 'package.json'), 'utf8'));
    expect(await health.json()).toMatchObject({
      status: 'healthy',
      version,
      lastSuccess: expect.any(String),
    });

    const file = join(folder, 'copy.db');
    await BlobServiceClient.fromConnectionString(azurite.connectionString)
      .getContainerClient('dataverse')
      .getBlobClient('dataverse.db')
      .downloadToFile(file);
    using database = new DatabaseSync(file);
    expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    expect(database.prepare('SELECT count(*) AS rows FROM accounts').get()).toEqual({
      rows: dataverse.store.count('account'),
    });
    await expect.poll(() => events).toContain('RunEnded');
    await expect.poll(() => events).toContain('"Sync run"');
    expect(events).toContain('"Blob commit blocks of dataverse.db"');
    // The library's own requests.
    expect(events).not.toContain('/v2.1/track');
  });

  test('everything that the app needs is there', async () => {
    expect((await fetch(`${app.url}/api/check`)).status).toBe(401);
    const answer = await app.fetch('check');
    expect(await answer.json()).toMatchObject({ ok: true });
    expect(answer.status).toBe(200);
  });

  test('with invalid settings all functions are registered, and the app says what is wrong', async () => {
    const env = {
      AzureWebJobsStorage: azurite.connectionString,
      DATAVERSE_URL: 'not-a-url',
      SYNC_SLICE_MB: 'many',
      METRICS_TABLE: '!',
      SYNC_SCHEDULE: '0 0 0 1 1 *',
    };
    const broken = await deploy(built.folder, env, built.folder);
    try {
      expect(broken.functions.length).toBe(app.functions.length);
      for (const name of ['DATAVERSE_URL', 'SYNC_SLICE_MB', 'METRICS_TABLE'])
        expect(broken.log()).toContain(name);
      const health = await fetch(`${broken.url}/api/health`);
      expect(health.status).toBe(503);
      expect(await health.json()).toMatchObject({
        status: 'unhealthy',
        invalidSettings: expect.arrayContaining(['DATAVERSE_URL', 'SYNC_SLICE_MB', 'METRICS_TABLE']),
      });
      const check = await broken.fetch('check');
      expect(check.status).toBe(503);
      expect(await check.text()).toContain('not-a-url');
    } finally {
      broken.stop();
    }
  });

  test('a run reaches a mirror in PostgreSQL', async () => {
    const address = await (await startPostgres()).createDatabase();
    const env = {
      AzureWebJobsStorage: azurite.connectionString,
      SYNC_QUEUE_PREFIX: 'in-postgres',
      SYNC_WORK_CONTAINER: 'work-of-postgres',
      SYNC_DATABASE_CONTAINER: 'files-of-postgres',
      DATAVERSE_URL: dataverse.url,
      DATAVERSE_ACCESS_TOKEN: 'test',
      SYNC_SCHEDULE: '0 0 0 1 1 *',
      SYNC_ENTITIES_FILE: join(built.folder, 'entities.json'),
      SYNC_TARGET: 'postgres',
      POSTGRES_URL: address,
    };
    const another = await deploy(built.folder, env, folder);
    try {
      expect(await (await another.fetch('check')).json()).toMatchObject({ ok: true });
      const { runId } = (await (await another.fetch('sync', { method: 'POST' })).json()) as { runId: string };
      const status = async () => (await another.fetch(`sync/${runId}`)).json();
      await expect.poll(status, { timeout: 120_000, interval: 200 }).toMatchObject({ phase: 'complete' });
      expect(await status()).toMatchObject({ totals: { failed: 0 } });
    } finally {
      another.stop();
    }
    const { rows } = await withClient(address, (client) =>
      client.query('SELECT count(*)::int AS n FROM dataverse.accounts'),
    );
    expect(rows).toEqual([{ n: dataverse.store.count('account') }]);
  });

  test('campaign metrics are accepted', async () => {
    const body = JSON.stringify(record());
    const headers = { 'content-type': 'application/json' };
    const answer = await app.fetch('metrics/campaign', { method: 'POST', body, headers });
    expect(answer.status).toBe(201);
  });
});
