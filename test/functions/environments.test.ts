import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { record } from '../metrics/metrics-world.ts';
import { type DeployedApp, deploy } from '../package/deployed-app.ts';

const root = resolve(import.meta.dirname, '../..');

interface Status {
  phase: string;
  error?: string;
  entities: { name: string; state: string }[];
}

describe('an app with several environments', () => {
  // By name: where it is below /api, its container.
  const places = {
    default: { path: '', container: 'dataverse' },
    sales: { path: 'environments/sales/', container: 'dataverse-sales' },
    service: { path: 'environments/service/', container: 'service' },
  };
  type Name = keyof typeof places;
  const names = Object.keys(places) as Name[];
  const dataverses = {} as Record<Name, SampleDataverse>;
  let azurite: Azurite;
  let app: DeployedApp;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'environments-'));
    writeFileSync(join(folder, 'entities.json'), '["account", "contact"]');
    writeFileSync(join(folder, 'service.json'), '["account"]');
    azurite = await startAzurite();
    for (const [at, name] of names.entries())
      dataverses[name] = await startSampleDataverse({ rows: 200 + 100 * at, seed: 1 + at });
    const environments = {
      sales: { DATAVERSE_URL: dataverses.sales.url, DATAVERSE_ACCESS_TOKEN: '%TEST_TOKEN%' },
      service: {
        DATAVERSE_URL: dataverses.service.url,
        DATAVERSE_ACCESS_TOKEN: '%TEST_TOKEN%',
        SYNC_ENTITIES_FILE: 'service.json',
        SYNC_DATABASE_CONTAINER: 'service',
      },
      broken: { DATAVERSE_URL: 'ftp://nothing', SYNC_SLICE_MB: 'many' },
      twin: { DATAVERSE_URL: dataverses.sales.url, SYNC_QUEUE_PREFIX: 'sync-sales' },
    };
    writeFileSync(join(folder, 'environments.json'), JSON.stringify({ environments }));
    const settings = {
      AzureWebJobsStorage: azurite.connectionString,
      DATAVERSE_URL: dataverses.default.url,
      DATAVERSE_ACCESS_TOKEN: 'test',
      TEST_TOKEN: 'test',
      SYNC_SCHEDULE: '0 0 0 1 1 *',
      SYNC_ENTITIES_FILE: 'entities.json',
      SYNC_ENVIRONMENTS_FILE: 'environments.json',
    };
    app = await deploy(root, settings, folder);
  });
  afterAll(async () => {
    app?.stop();
    for (const name of names) await dataverses[name]?.stop();
    await azurite?.stop();
    rmSync(folder, { recursive: true });
  });

  const start = async (name: Name): Promise<string> => {
    const started = await app.fetch(`${places[name].path}sync`, { method: 'POST' });
    expect(started.status).toBe(202);
    return ((await started.json()) as { runId: string }).runId;
  };
  const ended = async (name: Name, runId: string): Promise<Status> => {
    const status = async () =>
      (await (await app.fetch(`${places[name].path}sync/${runId}`)).json()) as Status;
    await expect.poll(async () => (await status()).phase, { interval: 200 }).toMatch(/complete|failed/);
    return status();
  };
  /** The ids of the accounts in a mirror. */
  const accounts = async (name: Name): Promise<Set<unknown>> => {
    const file = join(folder, `${name}.db`);
    await BlobServiceClient.fromConnectionString(azurite.connectionString)
      .getContainerClient(places[name].container)
      .getBlobClient('dataverse.db')
      .downloadToFile(file);
    using database = new DatabaseSync(file);
    return new Set(
      database
        .prepare('SELECT accountid AS id FROM accounts')
        .all()
        .map(({ id }) => id),
    );
  };
  const truth = (name: Name) => new Set(dataverses[name].store.truth('account').keys());

  it('registers the functions of each, without those of one that shares queues', () => {
    const timers = app.functions.filter((name) => name.startsWith('syncTimer')).sort();
    expect(timers).toEqual(['syncTimer', 'syncTimer_broken', 'syncTimer_sales', 'syncTimer_service']);
    expect(new Set(app.functions.map((name) => name.split('_')[1])).size).toBe(4);
    expect(app.functions).toHaveLength(4 * app.functions.filter((name) => !name.includes('_')).length);
    expect(app.log()).toMatch(/environment twin: SYNC_QUEUE_PREFIX is that of environment sales/);
    expect(app.log()).toMatch(/Environment broken: .*SYNC_SLICE_MB/);
  });

  it('syncs all at the same time, each into its own mirror, and writes metrics into its own Dataverse', async () => {
    const runs = await Promise.all(names.map(start));
    const headers = { 'content-type': 'application/json' };
    for (const name of names) {
      const body = JSON.stringify({ ...record(), campaignId: `campaign of ${name}` });
      const answer = await app.fetch(`${places[name].path}metrics/campaign`, {
        method: 'POST',
        body,
        headers,
      });
      expect(answer.status).toBe(201);
      expect(answer.headers.get('location')).toContain(`/api/${places[name].path}metrics/campaign/`);
    }
    for (const [at, name] of names.entries()) {
      const { phase, entities } = await ended(name, runs[at]!);
      expect(phase).toBe('complete');
      expect(entities.map((one) => one.name)).toEqual(
        name === 'service' ? ['account'] : ['account', 'contact'],
      );
      expect(await accounts(name)).toEqual(truth(name));
      const campaigns = [...dataverses[name].store.truth('apex_campaignmetrics').values()].map(
        (row) => row['apex_campaignid'],
      );
      expect(campaigns.filter((one) => String(one).startsWith('campaign of'))).toEqual([
        `campaign of ${name}`,
      ]);
    }
    const sizes = new Set(names.map((name) => truth(name).size));
    expect(sizes.size).toBe(3);
  });

  it('one whose Dataverse does not answer fails alone', async () => {
    dataverses.sales.faults.add({
      kind: 'error',
      status: 403,
      code: '0x80040220',
      message: 'No.',
      match: /./,
      times: 1e6,
    });
    const runs = await Promise.all(names.map(start));
    const [first, sales, service] = await Promise.all(names.map((name, at) => ended(name, runs[at]!)));
    expect([first!.phase, service!.phase]).toEqual(['complete', 'complete']);
    expect(sales!.phase === 'failed' || sales!.entities.every(({ state }) => state === 'failed')).toBe(true);
    expect(await accounts('sales')).toEqual(truth('sales'));
    dataverses.sales.faults.clear();
  });

  it('one with invalid settings says so at its own addresses', async () => {
    const health = await app.fetch('environments/broken/health');
    expect(health.status).toBe(503);
    expect(((await health.json()) as { invalidSettings: string[] }).invalidSettings).toEqual(
      expect.arrayContaining(['DATAVERSE_URL', 'SYNC_SLICE_MB']),
    );
    expect((await app.fetch('environments/broken/sync', { method: 'POST' })).status).toBe(500);
    expect((await app.fetch('environments/sales/health')).status).toBe(200);
    // The first one can run, although the file has one that cannot.
    const own = await app.fetch('health');
    expect([own.status, await own.json()]).toMatchObject([
      200,
      {
        status: 'healthy',
        storage: 'available',
        invalidSettings: expect.arrayContaining(['SYNC_ENVIRONMENTS_FILE']),
      },
    ]);
    // Of one that is left out there is nothing.
    expect((await app.fetch('environments/twin/health')).status).toBe(404);
  });

  it('checks all of them, or one', async () => {
    const report = async (path: string) =>
      (await (await app.fetch(path)).json()) as {
        ok: boolean;
        checks: { name: string; ok: boolean; environment?: string }[];
      };
    const [all, one] = [await report('check'), await report('environments/service/check')];
    expect(one.ok).toBe(true);
    expect(all.ok).toBe(false);
    const failed = all.checks.filter(({ ok }) => !ok).map(({ name }) => name);
    expect(failed).toEqual(['environments', 'broken: settings', 'broken: access']);
    // A name of a check can begin as that of an environment does.
    expect(new Set(all.checks.map((check) => check.environment))).toEqual(
      new Set([undefined, 'sales', 'service', 'broken']),
    );
    for (const name of one.checks.map((check) => `service: ${check.name}`))
      expect(all.checks.map((check) => check.name)).toContain(name);
  });

  it('leads from the pages of one to those of the others', async () => {
    const headers = { accept: 'text/html' };
    for (const name of names) {
      const answer = await app.fetch(`${places[name].path}pages/overview`, { headers });
      expect(answer.status).toBe(200);
      const page = await answer.text();
      expect(page).toContain(new URL(dataverses[name].url).host);
      const [, nav] = /<nav aria-label="Environments"><ul>(.*?)<\/ul>/.exec(page)!;
      expect(
        [...nav!.matchAll(/href="([^"]*)"( aria-current="true")?>([^<]*)</g)].map(([, ...parts]) => parts),
      ).toEqual(
        [...names.slice(0, 1), 'sales', 'service', 'broken'].map((other) => [
          `/api/${other === 'default' ? '' : `environments/${other}/`}pages/overview`,
          other === name ? ' aria-current="true"' : undefined,
          other,
        ]),
      );
      const [, table] = /The mirrors of the other environments<\/caption>([\s\S]*?)<\/table>/.exec(page)!;
      const text = table!.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ');
      const host = (one: Name) => new URL(dataverses[one].url).host;
      for (const other of names) {
        if (other === name) expect(text).not.toContain(host(other));
        else
          expect(text).toMatch(
            new RegExp(`${other} ${host(other)} ${other === 'sales' ? '\\w+' : 'The mirror is up to date'}`),
          );
      }
      expect(text).toMatch(/broken Invalid app settings/);
      expect(page).toContain(`src="/api/${places[name].path}assets/dashboard`);
      const script = /src="([^"]*assets\/dashboard[^"]*)"/.exec(page)![1]!;
      expect((await fetch(`${app.url}${script}`)).status).toBe(200);
    }
  });
});
