import { AnonymousCredential, BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Problem, problemOf } from '../../../src/http/problem.ts';
import { Journal } from '../../../src/metrics/journal/journal.ts';
import { acceptRecords } from '../../../src/metrics/write/accept-records.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { createWorld, record } from '../../metrics/metrics-world.ts';

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

/** The answer to a record when the journal is in the storage account at this address. */
async function answerWith(url: string): Promise<Problem> {
  const blobs = new BlobServiceClient(url, new AnonymousCredential(), { retryOptions: { maxTries: 1 } });
  const { services } = createWorld(azurite);
  const journal = new Journal(blobs.getContainerClient('work'));
  const accepted = acceptRecords({ ...services, journal }, [record()], false);
  return problemOf(await accepted.then(() => undefined).catch((error: unknown) => error));
}

test('missing storage is reported as a problem of storage, with what to check', async () => {
  // Port 1 has no server.
  const { document, headers } = await answerWith('http://127.0.0.1:1/account');
  expect(document).toMatchObject({ status: 503, hint: expect.stringContaining('AzureWebJobsStorage') });
  expect(document.detail).toContain('journal of campaign metrics');
  expect(JSON.stringify(document)).not.toContain('Dataverse');
  expect(headers['retry-after']).toBeDefined();
});

test('storage that rejects the app is a fault of the setup', async () => {
  const { document } = await answerWith(`http://127.0.0.1:${azurite.blobPort}/devstoreaccount1`);
  expect(document).toMatchObject({ status: 500, hint: expect.stringContaining('roles Storage Blob Data') });
});
