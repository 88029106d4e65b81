import { type BlobClient, BlobServiceClient } from '@azure/storage-blob';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { Harness } from '../harness.ts';
import { differences, readTruth, withDatabase } from '../truth.ts';

let azurite: Azurite;
let dataverse: SampleDataverse;

beforeAll(async () => {
  azurite = await startAzurite();
});
beforeEach(async () => {
  dataverse = await startSampleDataverse({ rows: 0 });
});
afterEach(() => dataverse.stop());
afterAll(() => azurite.stop());

/** A table for each strategy. */
const tables = ['account', 'lead', 'new_shipmentline', 'contact'];

/** Ways to restore an older state of the database. */
const ways: Record<string, (blob: BlobClient) => Promise<() => Promise<unknown>>> = {
  'a download that is uploaded again': async (blob) => {
    const bytes = await blob.downloadToBuffer();
    return () => blob.getBlockBlobClient().uploadData(bytes);
  },
  'a snapshot that is copied over it': async (blob) => {
    const { snapshot } = await blob.createSnapshot();
    return async () => (await blob.beginCopyFromURL(blob.withSnapshot(snapshot!).url)).pollUntilDone();
  },
};

it.each(Object.entries(ways))('%s: the next sync brings all changes since', async (_, keep) => {
  const { store } = dataverse;
  const entities = [...tables.slice(0, 3), { name: 'contact', filtered: true }];
  const { connectionString } = azurite;
  const harness = await Harness.create({ connectionString, dataverseUrl: dataverse.url, entities });
  const contacts = [store.create('contact', {}), store.create('contact', {})];
  const rows = Object.fromEntries(
    tables.slice(0, 3).map((table) => [table, [1, 2, 3].map(() => store.create(table, {}))]),
  );
  store.update('account', rows['account']![0]!, { _primarycontactid_value: contacts[0]! });
  await harness.sync();
  const { containers, databaseName } = harness.services.settings;
  const service = BlobServiceClient.fromConnectionString(connectionString);
  const restore = await keep(service.getContainerClient(containers.database).getBlobClient(databaseName));

  // Two syncs later: rows added, changed and deleted, and another contact is referred to.
  for (const table of tables.slice(0, 3)) {
    store.create(table, {});
    store.delete(table, rows[table]![2]!);
  }
  await harness.sync();
  store.update('account', rows['account']![0]!, { name: 'renamed', _primarycontactid_value: contacts[1]! });
  store.update('lead', rows['lead']![0]!, { subject: 'renamed' });
  await harness.sync();

  await restore();
  const status = await harness.sync();
  expect(status.phase).toBe('complete');
  expect(status.totals).toMatchObject({ failed: 0 });
  expect(status.totals.added).toBeGreaterThanOrEqual(3);
  const bytes = await harness.databaseBytes();
  for (const name of tables) {
    const { entitySetName, primaryId } = store.table(name);
    const truth = (await readTruth(dataverse.url, entitySetName!)).filter(
      (row) => name !== 'contact' || row[primaryId] === contacts[1],
    );
    withDatabase(bytes, (db) => {
      const shape = { entitySet: entitySetName!, primaryKey: primaryId };
      expect(differences(db, shape, truth)).toEqual([]);
    });
  }
  const again = await harness.sync();
  expect(again.totals).toMatchObject({ added: 0, updated: 0, deleted: 0, failed: 0 });
  expect(again.database?.stagedBlocks ?? 0).toBe(0);
});
