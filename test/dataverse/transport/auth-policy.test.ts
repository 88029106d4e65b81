import { expect, onTestFinished, test, vi } from 'vitest';
import { TokenSource } from '../../../src/dataverse/transport/auth-policy.ts';
import { clientFor, sendJson, startServer } from '../http-server.ts';

const minute = 60_000;

function counting(lifetimes: number[]) {
  const asked: (string | string[])[] = [];
  let forgotten = 0;
  return {
    asked,
    forgotten: () => forgotten,
    credential: {
      forget() {
        forgotten += 1;
      },
      async getToken(scope: string | string[]) {
        asked.push(scope);
        const lifetime = lifetimes[asked.length - 1];
        if (lifetime === undefined) throw new Error('no more tokens');
        return { token: `token-${asked.length}`, expiresOnTimestamp: Date.now() + lifetime };
      },
    },
  };
}

test('requests one token at a time, renews it early, and keeps the old one if the renewal fails', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const { asked, credential } = counting([4 * minute, 60 * minute]);
  const source = new TokenSource(credential, 'https://org.crm.dynamics.com');
  expect(await Promise.all([source.get(), source.get(), source.get()])).toEqual([
    'token-1',
    'token-1',
    'token-1',
  ]);
  expect(asked).toEqual(['https://org.crm.dynamics.com/.default']);
  expect(await source.get()).toBe('token-1');
  vi.advanceTimersByTime(31_000);
  expect(await source.get()).toBe('token-2');
  expect(await source.get()).toBe('token-2');
  const failing = counting([4 * minute]);
  const kept = new TokenSource(failing.credential, 'https://org.crm.dynamics.com');
  expect(await kept.get()).toBe('token-1');
  vi.advanceTimersByTime(31_000);
  expect(await kept.get()).toBe('token-1');
  expect(failing.asked).toHaveLength(2);
});

test('requests a new token once after a 401, and throws the second 401', async () => {
  await using server = await startServer((request, response) => {
    if (request.headers['authorization'] === 'Bearer token-2') sendJson(response, { value: [] });
    else
      response.writeHead(401, { 'www-authenticate': 'Bearer authorization_uri=https://login.example' }).end();
  });
  const { credential, asked, forgotten } = counting([60 * minute, 60 * minute]);
  const client = clientFor(server, { credential });
  expect((await client.readPages({ entitySet: 'accounts' }).next()).value).toBeDefined();
  expect([asked.length, forgotten(), server.requests.length]).toEqual([2, 1, 2]);
  const refused = clientFor(server).readPages({ entitySet: 'accounts' }).next();
  await expect(refused).rejects.toMatchObject({
    name: 'DataverseConfigurationError',
    fault: { status: 401 },
  });
  expect(server.requests).toHaveLength(4);
});

test('stops waiting for a token service at the time limit', async () => {
  await using server = await startServer((_, response) => sendJson(response, { value: [] }));
  const credential = { getToken: () => new Promise<never>(() => {}) };
  const call = { operation: 'read', url: 'accounts', timeoutSeconds: 0.03 };
  await expect(clientFor(server, { credential, retry: { maxTries: 1 } }).request(call)).rejects.toMatchObject(
    {
      name: 'DataverseRetriableError',
      fault: { code: 'TIMEOUT' },
    },
  );
  expect(server.requests).toHaveLength(0);
});
