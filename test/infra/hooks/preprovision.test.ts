import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readEnvironmentsFile } from '../../../src/config/environments/environments-file.ts';
import { readInfra } from '../infrastructure.ts';
import { runHook } from './run-hook.ts';

const run = (environment: Record<string, string>) => runHook('preprovision', environment, null);

it('refuses numbers and truth values that azd would replace by the default', async () => {
  const { status, out } = await run({
    SYNC_PRIVATE_NETWORK: 'yes',
    SYNC_INSTANCE_MEMORY_MB: '4 GB',
    SYNC_LOG_RETENTION_DAYS: '90',
    SYNC_ALERT_EMAIL: 'crm@contoso.com',
  });
  expect(status).toBe(1);
  expect(out).toBe(
    '\nProblem: SYNC_INSTANCE_MEMORY_MB must be a whole number, not "4 GB".\n' +
      'SYNC_PRIVATE_NETWORK must be true or false, not "yes".\n' +
      'What to do: Correct it with `azd env set`.\n',
  );
});

/** The problems that the hook names, one a line. */
async function problemsOf(environment: Record<string, string>): Promise<string[]> {
  const { status, out } = await run(environment);
  const [, problems] =
    /^\nProblem: ([\s\S]*)\nWhat to do: Correct it with `azd env set`\.\n$/.exec(out) ?? [];
  expect([status, out]).toEqual([1, expect.stringMatching(/^\nProblem: /)]);
  return problems!.split('\n');
}

it.each([
  'contoso.crm.dynamics.com',
  'http://contoso.crm.dynamics.com',
  'https://contoso.crm.dynamics.com/main.aspx',
])('refuses the address %s', async (address) => {
  expect(await problemsOf({ DATAVERSE_URL: address })).toEqual([
    `DATAVERSE_URL must be an https address without a path, not "${address}". An example: https://contoso.crm.dynamics.com`,
  ]);
});

it('refuses an immutability period that is longer than versions are kept', async () => {
  const [ofDefault] = await problemsOf({ SYNC_DATABASE_IMMUTABILITY_DAYS: '15' });
  expect(ofDefault).toBe(
    'SYNC_DATABASE_IMMUTABILITY_DAYS must be at most 14, which is SYNC_DATABASE_RETENTION_DAYS, not 15.',
  );
  const days = { SYNC_DATABASE_IMMUTABILITY_DAYS: '31', SYNC_DATABASE_RETENTION_DAYS: '30' };
  expect(await problemsOf(days)).toEqual([expect.stringContaining('must be at most 30,')]);
});

it('refuses further settings that have a parameter of their own, and shows no value', async () => {
  const secret = 'a-secret-that-no-output-may-hold';
  const settings = { SYNC_SCHEDULE: '0 0 3 * * *', dataverse_client_secret: secret, SYNC_VERIFY_HOURS: 12 };
  const problems = await problemsOf({ SYNC_EXTRA_SETTINGS: JSON.stringify(settings) });
  expect(problems).toEqual([
    'SYNC_EXTRA_SETTINGS must not hold SYNC_SCHEDULE: set SYNC_SCHEDULE instead.',
    expect.stringMatching(
      /^SYNC_EXTRA_SETTINGS must not hold dataverse_client_secret: set SYNC_CLIENT_SECRET_APPL.*vault/,
    ),
    'SYNC_VERIFY_HOURS in SYNC_EXTRA_SETTINGS must be text in quotes.',
  ]);
  expect(problems.join()).not.toContain(secret);
});

it.each(['{"SYNC_VERIFY_HOURS":', '["SYNC_VERIFY_HOURS"]', 'null', '"x"'])(
  'refuses further settings that are no JSON object: %s',
  async (text) => {
    expect(await problemsOf({ SYNC_EXTRA_SETTINGS: text })).toEqual([
      'SYNC_EXTRA_SETTINGS must be a JSON object, such as {"SYNC_VERIFY_HOURS":"12"}.',
    ]);
  },
);

it('knows each setting whose value is that of a parameter', () => {
  const [app, hook] = ['modules/app.bicep', 'hooks/preprovision.mjs'].map(readInfra) as [string, string];
  const { parameters } = JSON.parse(readInfra('main.parameters.json')) as {
    parameters: Record<string, { value: string }>;
  };
  const settings = [...app.matchAll(/^ +([A-Z][A-Z_]+): (?:empty\()?(\w+)/gm)].filter(
    ([, , from]) => from! in parameters,
  );
  expect(settings.length).toBeGreaterThan(4);
  for (const [, name, from] of settings) {
    const variable = parameters[from!]!.value.slice(2, -1);
    expect(hook).toContain(`\n  ${name}: '${variable}',\n`);
  }
});

it.each<Record<string, string>>([
  {},
  { DATAVERSE_URL: 'https://contoso.crm.dynamics.com' },
  { DATAVERSE_URL: 'https://contoso.crm.dynamics.com/' },
  { SYNC_DATABASE_IMMUTABILITY_DAYS: '14' },
  { SYNC_DATABASE_IMMUTABILITY_DAYS: '30', SYNC_DATABASE_RETENTION_DAYS: '30' },
  { SYNC_EXTRA_SETTINGS: '{"SYNC_VERIFY_HOURS":"12","SYNC_CACHE_MB":"500"}' },
  { SYNC_PRIVATE_NETWORK: 'true', SYNC_MAXIMUM_INSTANCE_COUNT: '100' },
  { SYNC_PRIVATE_NETWORK: '', SYNC_DATABASE_IMMUTABILITY_DAYS: '' },
])('takes %j', async (environment) => {
  expect(await run(environment)).toMatchObject({ status: 0, out: '' });
});

const folder = mkdtempSync(join(tmpdir(), 'environments-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The variables of a deployment with a file of these environments, or of this text. */
function withFile(names: string, environments: object | string, encoding: BufferEncoding = 'utf8') {
  const text = typeof environments === 'string' ? environments : JSON.stringify({ environments });
  writeFileSync(join(folder, 'environments.json'), text, encoding);
  return { SYNC_ENVIRONMENTS_FILE: join(folder, 'environments.json'), SYNC_ENVIRONMENT_NAMES: names };
}

const sales = { DATAVERSE_URL: 'https://sales.crm4.dynamics.com' };
const service = { DATAVERSE_URL: '%SERVICE_URL%' };

it('takes further environments, whatever the order of their names and the encoding of their file', async () => {
  const own = { ...sales, SYNC_DATABASE_CONTAINER: 'dataverse-sales' };
  const elsewhere = { ...service, SYNC_DATABASE_CONTAINER: 'x', SYNC_DATABASE_STORAGE__blobServiceUri: 'y' };
  const taken = [
    () => withFile(' service, sales', { sales, service }),
    () => withFile('sales', `\uFEFF${JSON.stringify({ environments: { sales } })}`, 'utf16le'),
    () => withFile('sales,service', { sales: own, service: elsewhere }),
    () => withFile('', {}),
  ];
  for (const one of taken) expect(await run(one())).toMatchObject({ status: 0, out: '' });
});

it('refuses names that are not those of the file, and says how to take these', async () => {
  const file = join(folder, 'environments.json');
  expect(await problemsOf(withFile('sales,test,sales', { sales, service, 'north-2': sales }))).toEqual([
    `SYNC_ENVIRONMENT_NAMES lacks service, north-2, which ${file} has.`,
    `${file} lacks test, which SYNC_ENVIRONMENT_NAMES has.`,
    'SYNC_ENVIRONMENT_NAMES has sales more than once.',
    'To take the names of the file: azd env set SYNC_ENVIRONMENT_NAMES "sales,service,north-2"',
  ]);
  expect(await problemsOf({ SYNC_ENVIRONMENT_NAMES: 'sales' })).toEqual([
    expect.stringMatching(/^SYNC_ENVIRONMENT_NAMES is set, but .*azd env set SYNC_ENVIRONMENTS_FILE /),
  ]);
});

it.each<[string, RegExp]>([
  ['{"environments": {"sales": hunter2', /, which is not valid JSON\. See docs/],
  ['{"environments": []}', /, which must be an object with "environments"/],
  ['null', /, which must be an object/],
  ['{"environments": {"sales": "https://x"}}', /, which must be an object/],
])('refuses a file of environments that nobody can read: %s', async (text, message) => {
  const problems = await problemsOf(withFile('sales', text));
  expect(problems).toEqual([expect.stringMatching(message)]);
  expect(problems.join()).not.toContain('hunter2');
});

it('refuses a file of environments that does not exist', async () => {
  expect(
    await problemsOf({ SYNC_ENVIRONMENTS_FILE: 'absent.json', SYNC_ENVIRONMENT_NAMES: 'sales' }),
  ).toEqual([
    expect.stringMatching(
      /^SYNC_ENVIRONMENTS_FILE is absent\.json, but .*absent\.json cannot be read \(ENOENT\)/,
    ),
  ]);
});

it('refuses an environment without an address, and with a container in which the app has no role', async () => {
  const wrong = {
    sales: { SYNC_DATABASE_CONTAINER: 'mirror' },
    service: { DATAVERSE_URL: 'https://x:hunter2@service.example' },
  };
  const problems = await problemsOf(withFile('sales,service', wrong));
  expect(problems).toEqual([
    'The environment sales must have a DATAVERSE_URL.',
    'The environment sales must not have a SYNC_DATABASE_CONTAINER, which nobody may use. Leave it out: the deployment makes dataverse-sales.',
    'The environment service: DATAVERSE_URL must be an https address without a path, not "https://service.example".',
  ]);
});

it('refuses the names that the app refuses', async () => {
  const names = [
    ...['sales', 'north-2', 'a1', 'a'.repeat(20), 'a', 'a'.repeat(21), 'Sales', '2nd', 'a--b', 'a-', 'a_b'],
    ...['default', 'pages', 'dashboard', 'sync', 'x/y'],
  ];
  const variables = withFile(names.join(), Object.fromEntries(names.map((name) => [name, sales])));
  const problems = await problemsOf(variables);
  const { environments } = readEnvironmentsFile(variables.SYNC_ENVIRONMENTS_FILE, {});
  const taken = environments.map(({ name }) => name);
  expect(taken.length).toBeGreaterThan(3);
  expect(problems.map((one) => /cannot be called "(.*?)"/.exec(one)?.[1])).toEqual(
    names.filter((name) => !taken.includes(name)),
  );
});
