import { RestError } from '@azure/storage-blob';
import { expect, test } from 'vitest';
import { ConfigurationError, ConflictError, RetriableError, SyncError } from '../../src/errors.ts';
import { withStorageErrors } from '../../src/storage/errors.ts';

async function thrown(error: unknown): Promise<unknown> {
  return withStorageErrors('read', 'state.json', () => Promise.reject(error)).catch(
    (caught: unknown) => caught,
  );
}

test.each([
  [412, undefined, ConflictError],
  [409, 'BlobAlreadyExists', ConflictError],
  [503, 'ServerBusy', RetriableError],
  [undefined, 'ECONNRESET', RetriableError],
  [403, 'AuthorizationFailure', ConfigurationError],
  [400, 'InvalidHeaderValue', SyncError],
])('status %s with code %s becomes an error by what to do next', async (statusCode, code, kind) => {
  const error = await thrown(new RestError('secret text', { statusCode, code }));
  expect((error as Error).constructor).toBe(kind);
  expect((error as SyncError).message).toMatch(/^Cannot read state\.json: /);
  expect((error as SyncError).message).not.toContain('secret');
  expect(error).toMatchObject({ operation: 'read', object: 'state.json' });
});

test('a fault of the code stays what it is, so that its text is not shown to callers', async () => {
  const bug = new TypeError('Cannot read properties of undefined');
  expect(await thrown(bug)).toBe(bug);
});

test.each(['AuthenticationError', 'AggregateAuthenticationError', 'CredentialUnavailableError'])(
  'the missing token behind %s is retried, and names the identity',
  async (name) => {
    const cause = Object.assign(new Error('POST https://login… client_secret=hidden'), { name });
    const error = await thrown(cause);
    expect(error).toBeInstanceOf(RetriableError);
    expect((error as RetriableError).message).toBe('Cannot read state.json: no token for Azure Storage');
    expect((error as RetriableError).hint).toContain('managed identity');
  },
);
