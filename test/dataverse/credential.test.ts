import { inspect } from 'node:util';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createCredential, credentialKind } from '../../src/dataverse/credential.ts';
import { sendJson, startServer } from './http-server.ts';

test('chooses one kind of credential from the options', () => {
  const environment = {};
  const application = { tenantId: 't', clientId: 'c' };
  expect(credentialKind({ accessToken: 'x', clientSecret: 's', environment })).toBe('access-token');
  expect(credentialKind({ ...application, clientSecret: 's', environment })).toBe('client-secret');
  expect(credentialKind({ ...application, certificatePath: 'p', environment })).toBe('client-certificate');
  expect(credentialKind({ ...application, federatedTokenFile: 'p', environment })).toBe('workload-identity');
  expect(credentialKind({ environment: { IDENTITY_ENDPOINT: 'http://x' } })).toBe('managed-identity');
  expect(credentialKind({ environment })).toBe('azure-cli');
  expect(() => createCredential({ clientSecret: 's3cret', clientId: 'c' })).toThrow('tenantId');
});

test('signs in as the system-assigned identity, or as the user-assigned one of the client id', async () => {
  await using server = await startServer((_, response) =>
    sendJson(response, { access_token: 'from-identity', expires_on: String(Date.now() / 1000 + 3600) }),
  );
  vi.stubEnv('IDENTITY_ENDPOINT', `${server.url}/token`);
  vi.stubEnv('IDENTITY_HEADER', 'header');
  onTestFinished(() => void vi.unstubAllEnvs());
  for (const clientId of [undefined, '00000000-0000-4000-8000-000000000001']) {
    const token = await createCredential({ clientId }).getToken('https://org.crm.dynamics.com/.default');
    expect(token?.token).toBe('from-identity');
  }
  const queries = server.requests.map(({ url }) => new URL(url, server.url).searchParams);
  expect(queries.map((query) => query.get('resource'))).toEqual(
    new Array(2).fill('https://org.crm.dynamics.com'),
  );
  expect(queries.map((query) => query.get('client_id'))).toEqual([
    null,
    '00000000-0000-4000-8000-000000000001',
  ]);
});

test.each(['eyJfirstpart.\nsecondpart', 'eyJfirstpart. secondpart', '“eyJfirstpart.secondpart”', ' \n'])(
  'refuses a token that no header can carry, without showing it',
  (accessToken) => {
    let error: unknown;
    try {
      createCredential({ accessToken });
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ name: 'ConfigurationError', object: 'DATAVERSE_ACCESS_TOKEN' });
    expect((error as Error).message).toMatch(/access token/);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/firstpart|secondpart/);
  },
);

test('ignores a line break at the end of a token', async () => {
  const token = await createCredential({ accessToken: 'eyJfirstpart.secondpart\n' }).getToken('scope');
  expect(token?.token).toBe('eyJfirstpart.secondpart');
});
