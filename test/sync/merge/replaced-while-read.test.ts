import { afterAll, beforeAll, expect, it } from 'vitest';
import { ConflictError, RetriableError, SyncError } from '../../../src/errors.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation;
beforeAll(async () => {
  org = await Organisation.start(['account', 'contact', 'lead'], { rows: 300 }, { SYNC_CACHE_MB: '0.001' });
  await org.sync();
});
afterAll(() => org.stop());

/** Fails one read of a part of the database. @param before happens just before */
function failOneRead(error: Error, before: () => Promise<unknown> = async () => undefined): () => boolean {
  const { databaseFile } = org.harness.storage;
  const open = databaseFile.open.bind(databaseFile);
  let hasFailed = false;
  databaseFile.open = async (ifNot) => {
    const stored = await open(ifNot);
    if (typeof stored === 'string') return stored;
    let reads = 0;
    const read: typeof stored.read = async (parts) => {
      reads += 1;
      if (hasFailed || reads < 4) return stored.read(parts);
      hasFailed = true;
      await before();
      throw error;
    };
    return { ...stored, read };
  };
  org.harness.restarted();
  return () => {
    databaseFile.open = open;
    return hasFailed;
  };
}

it.each([
  ['is replaced by another writer', new ConflictError('Cannot read dataverse.db: 412 ConditionNotMet')],
  ['cannot be read for a moment', new RetriableError('Cannot read dataverse.db: 503')],
])('no table is left out where the database %s while a merge reads it', async (_, error) => {
  for (const table of ['account', 'contact', 'lead']) org.rows(table, 3);
  const end = failOneRead(error);
  const status = await org.sync();
  expect(end()).toBe(true);
  expect(status.totals).toMatchObject({ failed: 0, added: 9 });
  await org.expectMirror('account', 'contact', 'lead');
});

it.each([
  ['as a conflict', new ConflictError('dataverse.db was deleted while it was read.')],
  ['as the fault of a table', new SyncError('Cannot read dataverse.db: 404')],
])('no cursor goes into an empty database after the file was deleted, seen %s', async (_, error) => {
  for (const table of ['account', 'contact', 'lead']) org.rows(table, 3);
  const end = failOneRead(error, () => org.harness.storage.published.deletePrefix('dataverse.db'));
  org.clock.now += 60_000;
  const failed = await org.harness.sync();
  expect(end()).toBe(true);
  expect(failed).toMatchObject({
    phase: 'failed',
    error: expect.stringContaining('was replaced while this run'),
  });
  await org.sync();
  await org.expectMirror('account', 'contact', 'lead');
});
