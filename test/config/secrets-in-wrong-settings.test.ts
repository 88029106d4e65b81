import { expect, test } from 'vitest';
import { invalidSettings } from '../../src/config/invalid-settings.ts';

const secret = 'Zq8Q~aB3xYp0-kLmN9oPqRsTuVwXyZ1234567890';

test.each([
  ['SYNC_SCHEDULE', secret],
  ['SYNC_SCHEDULE', `0 0 * * * ${secret}`],
  ['DATAVERSE_URL', secret],
  ['DATAVERSE_URL', `https://user:${secret}@contoso.crm.dynamics.com`],
  ['DATAVERSE_URL', `https://contoso crm/${secret}`],
  ['DATAVERSE_URL', `user:${secret}@contoso`],
])('a fault of %s does not quote the secret in %j', (name, value) => {
  const { faults, names } = invalidSettings({ DATAVERSE_CLIENT_SECRET: secret, [name]: value });
  expect(names).toContain(name);
  expect(faults.join()).not.toContain(secret);
});

test('a secret that is in no other setting is not quoted either; a plain mistake is', () => {
  const alone = 'Yq8Q~bB3xYp0-kLmN9oPqRsTuVwXyZ1234567890';
  const faultsOf = (text: string) => invalidSettings({ SYNC_SCHEDULE: text, DATAVERSE_URL: text }).faults;
  expect(faultsOf(alone).join()).not.toContain(alone);
  expect(faultsOf('contoso.crm').join()).toContain('DATAVERSE_URL is not a valid URL: contoso.crm');
  expect(invalidSettings({ SYNC_SCHEDULE: '0 0 9 x * *' }).faults.join()).toContain(
    'SYNC_SCHEDULE has an invalid day',
  );
});
