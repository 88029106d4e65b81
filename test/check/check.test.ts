import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  AccountSASPermissions,
  BlobServiceClient,
  generateAccountSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runChecks } from '../../src/check/check.ts';
import { type CheckReport, checkEverything } from '../../src/check-services.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { type Azurite, startAzurite } from '../azurite.ts';

let azurite: Azurite;
let readers: Azurite;
let dataverse: SampleDataverse;
beforeAll(async () => {
  [azurite, readers] = await Promise.all([startAzurite(), startAzurite()]);
  dataverse = await startSampleDataverse({ rows: 50 });
});
afterAll(async () => {
  await dataverse.stop();
  await Promise.all([azurite.stop(), readers.stop()]);
});
afterEach(() => {
  dataverse.store.deniedPrivileges.clear();
  dataverse.store.withoutOrganizationRead.clear();
});

const environment = (changes: Record<string, string> = {}) => ({
  AzureWebJobsStorage: azurite.connectionString,
  SYNC_DATABASE_STORAGE: readers.connectionString,
  DATAVERSE_URL: dataverse.url,
  DATAVERSE_ACCESS_TOKEN: 'the-token',
  SYNC_SCHEDULE: '0 */15 * * * *',
  SYNC_ENTITIES_FILE: resolve(import.meta.dirname, '../../entities.json'),
  ...changes,
});
const check = (changes: Record<string, string> = {}, timeout?: number) =>
  checkEverything(environment(changes), timeout);
const failures = ({ checks }: CheckReport) => checks.filter(({ ok }) => !ok).map(({ name }) => name);
const found = ({ checks }: CheckReport, name: string) => checks.find((one) => one.name === name);

/** A connection string that allows only these operations, as a shared access signature. */
function limited(permissions: string, { connectionString: text } = readers): string {
  const value = (name: string) => new RegExp(`${name}=([^;]+)`).exec(text)![1]!;
  const sas = generateAccountSASQueryParameters(
    {
      expiresOn: new Date(Date.now() + 3_600_000),
      permissions: AccountSASPermissions.parse(permissions),
      resourceTypes: 'sco',
      services: 'bq',
    },
    new StorageSharedKeyCredential(value('AccountName'), value('AccountKey')),
  );
  return `BlobEndpoint=${value('BlobEndpoint')};QueueEndpoint=${value('QueueEndpoint')};SharedAccessSignature=${sas}`;
}

test('all is well: every part has a check, and nothing stays behind', async () => {
  const report = await check();
  expect(report).toMatchObject({ ok: true });
  const names = report.checks.map(({ name }) => name);
  for (const name of [
    ...['settings', 'schedule', 'dataverse', 'clock: dataverse', 'privileges', 'table account'],
    ...['storage: AzureWebJobsStorage, container sync-work', 'storage: queues'],
    ...['storage: SYNC_DATABASE_STORAGE, container dataverse', 'campaign metrics in apex_campaignmetrics'],
  ])
    expect(names).toContain(name);
  expect(found(report, 'table account')!.detail).toContain('delta');
  expect(found(report, 'table lead')).toMatchObject({ ok: true, hint: expect.stringContaining('Track') });
  for (const account of [azurite.connectionString, readers.connectionString]) {
    const service = BlobServiceClient.fromConnectionString(account);
    for await (const container of service.listContainers())
      for await (const blob of service.getContainerClient(container.name).listBlobsFlat())
        expect.unreachable(blob.name);
  }
});

describe('storage', () => {
  test.each([
    ['rdlaup', 'write'],
    ['rdlacup', 'lease'],
    ['wdlacup', 'read'],
    ['rwlacup', 'delete'],
    ['rwdacup', 'list'],
  ])('with only the permissions %s, the account of the database fails: %s', async (permissions, verb) => {
    const report = await check({ SYNC_DATABASE_STORAGE: limited(permissions) });
    expect(failures(report)).toEqual(['storage: SYNC_DATABASE_STORAGE, container dataverse']);
    const [failure] = report.checks.filter(({ ok }) => !ok);
    expect(failure!.detail).toContain(`Cannot ${verb}`);
    expect(failure!.hint).toContain('Storage Blob Data Contributor');
  });

  test('queues that may not be processed', async () => {
    const report = await check({ AzureWebJobsStorage: limited('rwdlac') });
    expect(failures(report)).toEqual(['storage: queues']);
    expect(found(report, 'storage: queues')!.detail).toContain(
      'Cannot receive a message in the queue sync-check',
    );
  });

  test('an account that does not answer', async () => {
    const report = await check(
      {
        SYNC_DATABASE_STORAGE:
          'DefaultEndpointsProtocol=http;BlobEndpoint=http://127.0.0.1:1/nobody;AccountName=nobody;AccountKey=c2VjcmV0LWtleQ==',
      },
      4_000,
    );
    expect(failures(report)).toEqual(['storage: SYNC_DATABASE_STORAGE, container dataverse']);
  });
});

describe('Dataverse', () => {
  test.each([
    ['prvReadaccount', 'table account'],
    ['prvReadEntity', 'privileges'],
    ['prvReadAttribute', 'privileges'],
    ['prvCreateapex_campaignmetrics', 'campaign metrics in apex_campaignmetrics'],
    ['prvWriteapex_campaignmetrics', 'campaign metrics in apex_campaignmetrics'],
  ])('without %s, %s fails and names it', async (privilege, name) => {
    dataverse.store.deniedPrivileges.add(privilege);
    const report = await check();
    expect(failures(report)).toEqual([name]);
    expect(found(report, name)!.detail.toLowerCase()).toContain(privilege.toLowerCase());
    expect(found(report, name)!.hint).toContain('npm run role');
  });

  test('read below organisation level', async () => {
    dataverse.store.withoutOrganizationRead.add('contact');
    const report = await check();
    expect(failures(report)).toEqual(['table contact']);
    expect(found(report, 'table contact')!.detail).toMatch(/lacks prvReadcontact at organisation level/i);
  });

  test('a table that does not exist', async () => {
    const report = await check({ METRICS_TABLE: 'apex_unknown' });
    expect(failures(report)).toEqual(['campaign metrics in apex_unknown']);
    expect(report.checks.at(-2)!.detail).toBe(
      'Dataverse has no table apex_unknown, which METRICS_TABLE names.',
    );
  });

  test('without the table of campaign metrics, all is well for those who do not use it', async () => {
    const without = await startSampleDataverse({ rows: 10, campaignMetrics: false });
    const folder = await mkdtemp(join(tmpdir(), 'check-'));
    const SYNC_ENTITIES_FILE = join(folder, 'entities.json');
    await writeFile(SYNC_ENTITIES_FILE, '["account"]');
    const report = await check({ DATAVERSE_URL: without.url, SYNC_ENTITIES_FILE });
    expect(report).toMatchObject({ ok: true });
    const hint = expect.stringContaining('npm run provision');
    expect(found(report, 'campaign metrics in apex_campaignmetrics')).toMatchObject({ ok: true, hint });

    // A run would report it as failed each time.
    await writeFile(SYNC_ENTITIES_FILE, '["account", "apex_campaignmetrics"]');
    const listed = await check({ DATAVERSE_URL: without.url, SYNC_ENTITIES_FILE });
    expect(failures(listed)).toEqual(['table apex_campaignmetrics']);
    expect(found(listed, 'table apex_campaignmetrics')!.hint).toContain('Remove it from entities.json');
    await without.stop();
    await rm(folder, { recursive: true });
  });

  test('a rejected token, and an address where nobody listens', async () => {
    const strict = await startSampleDataverse({ rows: 10, token: 'another' });
    const rejected = await check({ DATAVERSE_URL: strict.url });
    await strict.stop();
    expect(failures(rejected)).toEqual(['dataverse', 'privileges']);
    expect(JSON.stringify(rejected)).not.toContain('the-token');
    expect(failures(await check({ DATAVERSE_URL: strict.url }))).toEqual(['dataverse', 'privileges']);
  });

  test('a server that never answers ends in time', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((done) => silent.once('listening', done));
    const { port } = silent.address() as { port: number };
    const report = await check({ DATAVERSE_URL: `http://127.0.0.1:${port}` }, 2_000);
    expect(failures(report)).toEqual(['dataverse', 'privileges']);
    expect(found(report, 'dataverse')!.detail).toBe('No answer within 2 seconds.');
    silent.close();
  });

  test('texts of a hostile service are neither secrets, nor endless, nor for a terminal', async () => {
    const hostile = `\u001b[2J\u009b2J\u202eeyJhbGciOiJ.SECRETTOKEN.abc the-opaque-token ${'x'.repeat(100_000)}`;
    const Privileges = [{ PrivilegeType: 'Read', Name: `prvRead${hostile}`, PrivilegeId: hostile }];
    const server = createHttpServer((request, response) => {
      response.setHeader('content-type', 'application/json');
      const body = request.url!.includes('WhoAmI')
        ? { UserId: hostile, OrganizationId: hostile }
        : { Privileges };
      response.end(JSON.stringify(body));
    }).listen(0, '127.0.0.1');
    await new Promise((done) => server.once('listening', done));
    const { port } = server.address() as { port: number };
    const DATAVERSE_URL = `http://127.0.0.1:${port}`;
    const report = await check({ DATAVERSE_URL, DATAVERSE_ACCESS_TOKEN: 'the-opaque-token' });
    server.close();
    expect(failures(report)).toEqual(['dataverse', 'privileges']);
    const text = JSON.stringify(report);
    for (const part of ['SECRETTOKEN', 'the-opaque-token', '\u001b', '\u009b', '\u202e'])
      expect(text).not.toContain(JSON.stringify(part).slice(1, -1));
    expect(text.length).toBeLessThan(10_000);
  });

  test('a finding is on one line, without secrets, and at most 1,000 characters long', async () => {
    const detail = `line\nBearer abcdefgh1 \u001b ${'y'.repeat(5000)}`;
    const [one] = await runChecks([{ name: 'a', run: async () => ({ ok: true, detail }) }], 1000);
    expect(one!.detail).toMatch(/^line Bearer \[token\] \\u001b y+$/);
    expect(one!.detail).toHaveLength(1000);
  });

  test('another time than ours', async () => {
    const late = await startSampleDataverse({ rows: 10, clock: () => new Date(Date.now() - 3_600_000) });
    const report = await check({ DATAVERSE_URL: late.url });
    await late.stop();
    expect(failures(report)).toEqual(['clock: dataverse']);
    expect(found(report, 'clock: dataverse')!.detail).toMatch(/^The clock is 3\d\d\d s ahead of/);
  });
});

describe('settings', () => {
  test('invalid ones are named at once, and the rest is checked where that is possible', async () => {
    const report = await check({
      METRICS_BULK_SIZE: '0',
      SYNC_SCHEDULE: 'hourly',
      SYNC_ENTITIES_FILE: '/none',
    });
    expect(failures(report)).toEqual(['settings', 'schedule']);
    for (const name of ['METRICS_BULK_SIZE', 'SYNC_SCHEDULE', 'SYNC_ENTITIES_FILE'])
      expect(found(report, 'settings')!.detail).toContain(name);
  });

  test('without usable settings only they are reported', async () => {
    const report = await checkEverything({ AzureWebJobsStorage: 'AccountKey=top-secret' });
    expect(failures(report)).toEqual(['settings', 'access']);
    expect(JSON.stringify(report)).not.toContain('top-secret');
  });

  test('a schedule of more than one run a minute', async () => {
    const report = await check({ SYNC_SCHEDULE: '*/30 * * * * *' });
    expect(failures(report)).toEqual(['schedule']);
    expect(found(report, 'schedule')!.hint).toContain('SYNC_SCHEDULE');
  });
});
