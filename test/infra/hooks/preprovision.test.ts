import { expect, it } from 'vitest';
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
