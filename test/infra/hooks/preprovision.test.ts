import { expect, it } from 'vitest';
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

it.each<Record<string, string>>([
  {},
  { SYNC_PRIVATE_NETWORK: 'true', SYNC_MAXIMUM_INSTANCE_COUNT: '100' },
  { SYNC_PRIVATE_NETWORK: '', SYNC_DATABASE_IMMUTABILITY_DAYS: '' },
])('takes %j', async (environment) => {
  expect(await run(environment)).toMatchObject({ status: 0, out: '' });
});
