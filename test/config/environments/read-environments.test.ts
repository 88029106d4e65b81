import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { environmentsJsonSchema } from '../../../src/config/environments/environments-file.ts';
import { readEnvironments } from '../../../src/config/environments/read-environments.ts';
import { invalidSettings } from '../../../src/config/invalid-settings.ts';
import { readSettings } from '../../../src/config/settings.ts';
import { blocks, section } from '../../docs/pages.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'environments-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const app = {
  AzureWebJobsStorage: 'UseDevelopmentStorage=true',
  DATAVERSE_URL: 'https://main.crm4.dynamics.com',
  DATAVERSE_TENANT_ID: 'tenant',
  DATAVERSE_CLIENT_ID: 'client',
  DATAVERSE_CLIENT_SECRET: 'secret of main',
  DATAVERSE_ACCESS_TOKEN: 'token of main',
  SYNC_SCHEDULE: '0 */15 * * * *',
  SYNC_KEEP_RUNS: '7',
  FABRIC_LANDING_ZONE: 'lake/main',
  WEBSITE_SITE_NAME: 'contoso',
};
const url = { DATAVERSE_URL: 'https://sales.crm4.dynamics.com' };

function read(environments: unknown, settings: Record<string, string> = {}) {
  writeFileSync(
    join(folder, 'environments.json'),
    typeof environments === 'string' ? environments : JSON.stringify({ environments }),
  );
  const all = { ...app, SYNC_ENVIRONMENTS_FILE: 'environments.json', ...settings };
  const { environments: found, faults } = readEnvironments(all, folder);
  return {
    names: found.map(({ name }) => name),
    faults,
    all,
    of: (name?: string) => found.find((one) => one.name === name)!,
  };
}

it('is the environment of the app settings alone without a file', () => {
  const { environments, faults } = readEnvironments(app, folder);
  expect(environments).toMatchObject([{ name: undefined, settings: app }]);
  expect(faults).toEqual([]);
  const [own] = environments;
  expect([own!.functionName('planRun'), own!.route('sync'), own!.queueName('sync-plan')]).toEqual([
    ...['planRun', 'sync', 'sync-plan'],
  ]);
  expect(own!.schedule).toBe('%SYNC_SCHEDULE%');
});

it('takes the app settings, except what belongs to one Dataverse, and places of its own', () => {
  const { of, names, faults } = read({ 'sales-eu': url });
  expect(faults).toEqual([]);
  expect(names).toEqual([undefined, 'sales-eu']);
  const settings = readSettings(of('sales-eu').settings, folder);
  expect(settings).toMatchObject({
    environment: 'sales-eu',
    app: 'contoso/sales-eu',
    dataverse: { url: 'https://sales.crm4.dynamics.com', credential: { clientSecret: 'secret of main' } },
    queuePrefix: 'sync-sales-eu',
    containers: { work: 'sync-work-sales-eu', database: 'dataverse-sales-eu' },
    sync: { keepRuns: { count: 7 } },
    landingZone: undefined,
  });
  expect(settings.dataverse.credential.accessToken).toBeUndefined();
  const { functionName, route, queueName, schedule } = {
    functionName: of('sales-eu').functionName('planRun'),
    route: of('sales-eu').route('sync/{runId?}'),
    queueName: of('sales-eu').queueName('campaign-metrics'),
    schedule: of('sales-eu').schedule,
  };
  expect([functionName, route, queueName, schedule]).toEqual([
    ...['planRun_sales_eu', 'environments/sales-eu/sync/{runId?}', 'sync-sales-eu-campaign-metrics'],
    '0 */15 * * * *',
  ]);
});

it('begins with the names that the app settings give', () => {
  const own = {
    SYNC_QUEUE_PREFIX: 'test',
    SYNC_WORK_CONTAINER: 'test-work',
    SYNC_DATABASE_CONTAINER: 'mirror',
  };
  const { of } = read({ sales: { ...url, SYNC_DATABASE_CONTAINER: 'sales' } }, own);
  expect(readSettings(of('sales').settings, folder)).toMatchObject({
    queuePrefix: 'test-sales',
    containers: { work: 'test-work-sales', database: 'sales' },
  });
});

describe('settings that belong together', () => {
  test('a sign-in is inherited as a whole or not at all', () => {
    const { of } = read({ sales: { ...url, DATAVERSE_CLIENT_ID: 'identity' } });
    const { credential } = readSettings(of('sales').settings, folder).dataverse;
    expect(credential).toMatchObject({ clientId: 'identity', clientSecret: undefined, tenantId: undefined });
  });

  const postgres = {
    SYNC_TARGET: 'postgres',
    POSTGRES_URL: 'postgresql://app:pw@db.example/mirror',
    POSTGRES_READER_URL: 'postgresql://reader:pw@db.example/mirror',
  };

  test('a mirror in PostgreSQL gets a schema of its own', () => {
    const { of } = read({ 'sales-eu': url }, postgres);
    expect(readSettings(of('sales-eu').settings, folder).postgres).toMatchObject({
      schema: 'dataverse_sales_eu',
      address: { host: 'db.example', user: 'app' },
      reader: { user: 'reader' },
    });
  });

  test('another server takes nothing of the one of the app settings', () => {
    const own = { ...url, POSTGRES_HOST: 'other.example', POSTGRES_DATABASE: 'd', POSTGRES_USER: 'u' };
    const { of } = read({ sales: own, files: { ...url, SYNC_TARGET: 'sqlite' } }, postgres);
    const found = readSettings(of('sales').settings, folder).postgres!;
    expect(found.address).toMatchObject({ host: 'other.example', database: 'd', user: 'u' });
    expect([found.address.password, found.reader]).toEqual([undefined, undefined]);
    expect(readSettings(of('files').settings, folder).postgres).toBeUndefined();
  });

  test('another database of the same server', () => {
    const parts = { POSTGRES_HOST: 'db.example', POSTGRES_DATABASE: 'main', POSTGRES_USER: 'app' };
    const { of } = read(
      { sales: { ...url, POSTGRES_DATABASE: 'sales' } },
      { SYNC_TARGET: 'postgres', ...parts, POSTGRES_READER_URL: postgres.POSTGRES_READER_URL },
    );
    const found = readSettings(of('sales').settings, folder).postgres!;
    expect(found.address).toMatchObject({ host: 'db.example', database: 'sales', user: 'app' });
    expect(found.reader).toBeUndefined();
  });

  test('an empty text takes away what the app settings say', () => {
    const { of } = read({ sales: { ...url, SYNC_KEEP_RUNS: '' } });
    expect(readSettings(of('sales').settings, folder).sync.keepRuns).toEqual({ count: 100 });
  });
});

describe('secrets', () => {
  test('are in app settings, which the file refers to', () => {
    const own = {
      ...url,
      DATAVERSE_CLIENT_ID: 'c',
      DATAVERSE_TENANT_ID: 't',
      DATAVERSE_CLIENT_SECRET: '%SALES_SECRET%',
    };
    const { of, faults } = read({ sales: own }, { SALES_SECRET: ' s3cret ' });
    expect(faults).toEqual([]);
    expect(of('sales').settings['DATAVERSE_CLIENT_SECRET']).toBe('s3cret');
  });

  test('are not taken from the file, and no message quotes them', () => {
    const secret = 'n0t-to-be-seen';
    const wrong = {
      a1: { ...url, DATAVERSE_CLIENT_SECRET: secret },
      a2: { ...url, DATAVERSE_ACCESS_TOKEN: secret },
      a3: { ...url, SYNC_TARGET: 'postgres', POSTGRES_URL: `postgresql://u:${secret}@h/d` },
      a4: { ...url, SYNC_TARGET: 'postgres', POSTGRES_READER_URL: `postgresql://u:${secret}%@h@i/d` },
      a5: { ...url, SYNC_DATABASE_STORAGE: `AccountName=a;AccountKey=${secret}` },
    };
    const { names, faults, all } = read(wrong);
    expect(names).toEqual([undefined]);
    expect(faults).toHaveLength(5);
    expect(faults.join()).not.toContain(secret);
    for (const fault of faults)
      expect(fault).toMatch(/holds a secret\. Put it into an app setting .* "%A\d_SECRET%"/);
    expect(
      invalidSettings({ ...all, SYNC_ENVIRONMENTS_FILE: join(folder, 'environments.json') }).names,
    ).toContain('SYNC_ENVIRONMENTS_FILE');
  });

  // The last two are there in every object.
  test.each(['NOTHING', 'constructor', '__proto__'])('a reference to nothing is a fault: %s', (setting) => {
    const { names, faults } = read({ sales: { ...url, DATAVERSE_CLIENT_SECRET: `%${setting}%` } });
    expect(names).toEqual([undefined]);
    expect(faults.join()).toContain(
      `sales: DATAVERSE_CLIENT_SECRET refers to the app setting ${setting}, which is not set`,
    );
  });
});

describe('a fault of one environment stops no other', () => {
  test.each([
    ['a setting that does not exist', { ...url, DATAVERSE_ULR: 'x' }, /there is no setting "DATAVERSE_ULR"/],
    [
      'a setting of the app',
      { ...url, AzureWebJobsStorage: 'x' },
      /AzureWebJobsStorage is the same for the whole app/,
    ],
    [
      'a setting that is an object',
      { ...url, SYNC_KEEP_RUNS: [1] },
      /SYNC_KEEP_RUNS must be a text, a number/,
    ],
    ['no object', 'https://sales.crm4.dynamics.com', /must be an object of app settings/],
    [
      'a prefix that is too long',
      { ...url, SYNC_QUEUE_PREFIX: 'a'.repeat(38) },
      /SYNC_QUEUE_PREFIX is invalid/,
    ],
    [
      'the queues of the app settings',
      { ...url, SYNC_QUEUE_PREFIX: 'sync' },
      /SYNC_QUEUE_PREFIX is that of the app settings/,
    ],
    [
      'the queues of another one',
      { ...url, SYNC_QUEUE_PREFIX: 'sync-other' },
      /SYNC_QUEUE_PREFIX is that of environment other/,
    ],
    [
      'a container of the app settings',
      { ...url, SYNC_WORK_CONTAINER: 'dataverse' },
      /SYNC_WORK_CONTAINER is that of the app settings/,
    ],
    [
      'one container for all',
      { ...url, SYNC_WORK_CONTAINER: 'one', SYNC_DATABASE_CONTAINER: 'one' },
      /must be two containers/,
    ],
    [
      'the lake of the app settings',
      { ...url, FABRIC_LANDING_ZONE: 'lake/main/' },
      /FABRIC_LANDING_ZONE is that of the app settings/,
    ],
    [
      'a lake around that of the app settings',
      { ...url, FABRIC_LANDING_ZONE: 'lake' },
      /one is a folder of the other/,
    ],
  ])('%s', (_, sales, fault) => {
    const { names, faults } = read({ other: url, sales, last: url });
    expect(names).toEqual([undefined, 'other', 'last']);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(fault);
    expect(faults[0]).toMatch(/^SYNC_ENVIRONMENTS_FILE: .*sales/);
  });

  test.each<[string, Record<string, string>, RegExp | undefined]>([
    [
      'another account',
      { SYNC_DATABASE_STORAGE__blobServiceUri: 'https://other.blob.core.windows.net/' },
      undefined,
    ],
    ['another account by name', { SYNC_DATABASE_STORAGE__accountName: 'other' }, undefined],
    ['the same account by name', { SYNC_DATABASE_STORAGE__accountName: 'Main' }, /that of the app settings/],
    ['an account of an unknown name', { SYNC_DATABASE_STORAGE: '%OTHER%' }, /that of the app settings/],
    [
      'a name that nobody knows',
      { SYNC_DATABASE_STORAGE__blobServiceUri: 'https://files.contoso.com' },
      /that of the app settings/,
    ],
  ])('a container of the same name in %s', (_, storage, fault) => {
    const app = {
      AzureWebJobsStorage__accountName: 'host',
      SYNC_DATABASE_STORAGE__blobServiceUri: 'https://main.blob.core.windows.net/',
      OTHER: 'UseDevelopmentStorage=true',
    };
    const { names, faults } = read(
      { sales: { ...url, SYNC_DATABASE_CONTAINER: 'dataverse', ...storage } },
      app,
    );
    expect(names).toEqual(fault === undefined ? [undefined, 'sales'] : [undefined]);
    expect(faults).toEqual(fault === undefined ? [] : [expect.stringMatching(fault)]);
  });

  test.each([
    'Sales',
    's',
    'sales_eu',
    'sales--eu',
    'sales-',
    '1st',
    'a'.repeat(21),
    '../x',
    'default',
    'pages',
    '',
  ])('the name %j', (name) => {
    const { names, faults } = read({ other: url, [name]: url });
    expect(names).toEqual([undefined, 'other']);
    expect(faults).toHaveLength(1);
  });

  test('the schema of the app settings, and that of its staged shards', () => {
    const postgres = { SYNC_TARGET: 'postgres', POSTGRES_URL: 'postgresql://app:pw@db.example/mirror' };
    const { names, faults } = read(
      { one: { ...url, POSTGRES_SCHEMA: 'dataverse' }, 'sync-staging': url, two: url },
      postgres,
    );
    expect(names).toEqual([undefined, 'two']);
    expect(faults.join()).toMatch(
      /one: POSTGRES_SCHEMA is that of the app settings.*sync-staging: POSTGRES_SCHEMA/,
    );
  });

  test('the schema of the app settings on a server that is written in another way', () => {
    const [one, other] = ['db.example', 'DB.example'].map((POSTGRES_HOST) => ({
      ...{ SYNC_TARGET: 'postgres', POSTGRES_HOST, POSTGRES_DATABASE: 'd', POSTGRES_USER: 'u' },
      POSTGRES_SCHEMA: 'dataverse',
    }));
    const { names } = read({ sales: { ...url, ...one } }, other);
    expect(names).toEqual([undefined]);
  });

  test('the queues that the app listens to where its own prefix is invalid', () => {
    const { names } = read({ sales: { ...url, SYNC_QUEUE_PREFIX: 'sync' } }, { SYNC_QUEUE_PREFIX: 'NO' });
    expect(names).toEqual([undefined]);
  });

  test('settings that the environment cannot run with are its own fault', () => {
    const { names, faults, of } = read({ sales: { SYNC_KEEP_RUNS: 'many' }, other: url });
    expect([names, faults]).toEqual([[undefined, 'sales', 'other'], []]);
    expect(invalidSettings(of('sales').settings).names).toEqual(
      expect.arrayContaining(['DATAVERSE_URL', 'SYNC_KEEP_RUNS']),
    );
    expect(invalidSettings(of('other').settings).names).not.toContain('SYNC_KEEP_RUNS');
    expect(of('other').schedule).toBe('0 */15 * * * *');
  });

  test('a schedule that is none leaves an environment without a timer', () => {
    const { of } = read({ sales: { ...url, SYNC_SCHEDULE: 'now' } });
    expect(of('sales').schedule).toBeUndefined();
    expect(invalidSettings(of('sales').settings).names).toContain('SYNC_SCHEDULE');
  });
});

test.each([
  ['{', /is not valid JSON/],
  ['[]', /must be an object with "environments"/],
  ['{"environments":[]}', /must be an object with "environments"/],
  ['{"environments":{},"more":1}', /must be an object with "environments"/],
])('a file of %j leaves the environment of the app settings', (text, fault) => {
  const { names, faults } = read(text);
  expect(names).toEqual([undefined]);
  expect(faults.join()).toMatch(fault);
});

const one = '{"DATAVERSE_URL": "https://one.crm4.dynamics.com"}';
test.each([
  [
    `{"environments": {"sales": ${one}, "other": ${one}, "s\\u0061les": ${one}}}`,
    'other',
    /one environment "sales"/,
  ],
  [
    `{"environments": {"sales": {"DATAVERSE_URL": "{\\"x", "SYNC_KEEP_RUNS": 1, "DATAVERSE_URL": "y"}, "other": ${one}}}`,
    'other',
    /environment sales has "DATAVERSE_URL" more than once/,
  ],
  [`{"environments": {"sales": ${one}}, "environments": {}}`, '', /has "environments" more than once/],
  [`{"environments": {"sales": ${one}, "other": ${one}}}`, 'sales other', /^$/],
  [`{"$schema": "a", "$schema": "b", "environments": {"sales": ${one}}}`, 'sales', /^$/],
])('what a file says twice is not guessed at: %s', (text, kept, fault) => {
  const { names, faults } = read(text);
  expect(names.slice(1).join(' ')).toBe(kept);
  expect(faults.join()).toMatch(fault);
});

test('a file that does not exist', () => {
  const { names, faults } = read({}, { SYNC_ENVIRONMENTS_FILE: 'nowhere.json' });
  expect(names).toEqual([undefined]);
  expect(faults.join()).toMatch(/nowhere\.json does not exist/);
});

test('environments share the memory of a process, unless it is set', () => {
  const megabytes = (names: string[], settings = {}) => {
    const { of } = read(Object.fromEntries(names.map((name) => [name, url])), settings);
    return [undefined, ...names].map((name) => readSettings(of(name).settings, folder).sync.cacheBytes);
  };
  const alone = megabytes([])[0]!;
  const eight = megabytes(['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7']);
  expect(new Set(eight).size).toBe(1);
  expect(eight[0]).toBeLessThanOrEqual(alone);
  expect(megabytes(['a1'], { SYNC_CACHE_MB: '100' })).toEqual([100, 100].map((mb) => mb * 1024 * 1024));
  const shards = (names: string[]) => {
    const { of } = read(Object.fromEntries(names.map((name) => [name, url])), { SYNC_CACHE_MB: '100' });
    return [undefined, ...names].map((name) => readSettings(of(name).settings, folder).sync.shardBytes);
  };
  expect(shards(['a1', 'a2', 'a3'])).toEqual(Array(4).fill(shards([])[0]! / 4));
});

it('keeps environments.schema.json equal to the schema that validates', () => {
  const url = new URL('../../../src/config/environments/environments.schema.json', import.meta.url);
  const stored = JSON.parse(readFileSync(url, 'utf8'));
  expect(stored).toEqual(JSON.parse(JSON.stringify(environmentsJsonSchema())));
});

it('reads the example of the documentation', () => {
  const [example] = blocks('json', section('docs/environments.md', 'Several environments'));
  const { names, faults } = read(example!, { SERVICE_SECRET: 'any' });
  const { $schema } = JSON.parse(example!) as { $schema: string };
  expect(existsSync(join(import.meta.dirname, '../../..', $schema))).toBe(true);
  expect([names, faults]).toEqual([[undefined, 'sales', 'service'], []]);
});
