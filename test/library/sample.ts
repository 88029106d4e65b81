import { createCredential, createDataverse, type DataverseOptions } from '../../src/library/dataverse.ts';

/** A client of a server of a test, which retries at once. */
export function connect(server: { url: string }, options: Partial<DataverseOptions> = {}) {
  return createDataverse({
    url: server.url,
    credential: createCredential({ accessToken: 'token-of-the-library-tests' }),
    retry: { baseDelaySeconds: 0.002 },
    maxConcurrency: 64,
    ...options,
  });
}
