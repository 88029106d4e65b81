import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { Harness } from '../harness.ts';
import { MirrorCheck } from '../mirror-check.ts';

describe('a database in a storage account of its own', () => {
  let azurite: Azurite;
  let others: Azurite[];
  let dataverse: SampleDataverse;
  let first: string;
  let second: string;

  beforeAll(async () => {
    azurite = await startAzurite();
    others = await Promise.all([startAzurite(), startAzurite()]);
    [first, second] = others.map(({ connectionString }) => connectionString) as [string, string];
    dataverse = await startSampleDataverse({ rows: 120 });
    for (const id of [...dataverse.store.truth('account').keys()].slice(2))
      dataverse.store.update('account', id, { entityimage: null });
  });
  afterAll(async () => {
    await dataverse.stop();
    await Promise.all([azurite, ...others].map((account) => account.stop()));
  });

  const create = (settings: Record<string, string>) =>
    Harness.create({
      connectionString: azurite.connectionString,
      dataverseUrl: dataverse.url,
      entities: [{ name: 'account', files: true }, 'contact'],
      settings,
    });

  /** Names of all blobs of an account, with their containers. */
  async function blobsOf(connectionString: string): Promise<string[]> {
    const service = BlobServiceClient.fromConnectionString(connectionString);
    const names: string[] = [];
    for await (const container of service.listContainers()) {
      for await (const { name } of service.getContainerClient(container.name).listBlobsFlat())
        names.push(`${container.name}/${name}`);
    }
    return names;
  }

  async function queuesOf(connectionString: string): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of QueueServiceClient.fromConnectionString(connectionString).listQueues())
      names.push(name);
    return names;
  }

  it('holds everything that readers use, and nothing else', async () => {
    const harness = await create({
      SYNC_DATABASE_STORAGE: first,
      SYNC_WORK_CONTAINER: 'work-one',
      SYNC_DATABASE_CONTAINER: 'mirror',
    });
    await harness.sync();
    dataverse.store.create('contact', { lastname: 'Later' });
    await harness.sync();

    const published = await blobsOf(first);
    for (const name of ['dataverse.db', 'state.json', 'schema-report.json', 'files/'])
      expect(
        published.some((blob) => blob.startsWith(`mirror/${name}`)),
        `${name} in ${published}`,
      ).toBe(true);
    expect(published.filter((blob) => !blob.startsWith('mirror/'))).toEqual([]);
    expect(await queuesOf(first)).toEqual([]);
    const own = await blobsOf(azurite.connectionString);
    expect(own.length).toBeGreaterThan(0);
    expect(own.filter((blob) => !blob.startsWith('work-one/'))).toEqual([]);
  });

  it('is synced in full after a change of the account, also in the middle of a run', async () => {
    const settings = { SYNC_WORK_CONTAINER: 'work-two', SYNC_DATABASE_CONTAINER: 'moved' };
    const before = await create({ ...settings, SYNC_DATABASE_STORAGE: first });
    await before.sync();
    const old = await before.databaseBytes();

    dataverse.store.create('contact', { lastname: 'Read with the old cursor' });
    const { runId } = await before.start();
    // The plan has read the tables with the cursors of the first account.
    // The app starts again with the other setting; messages and documents of the run are still there.
    const after = await create({ ...settings, SYNC_DATABASE_STORAGE: second });
    Object.assign(before.services, {
      published: after.services.published,
      files: after.services.files,
      mirror: after.services.mirror,
    });
    await before.drain();
    const status = await runStatus(before.services, runId);
    expect(status).toMatchObject({ phase: 'failed', hint: expect.stringContaining('Start another run') });
    expect(status!.error).toContain('The database was replaced while this run was reading');
    await after.sync();
    await after.sync();
    await new MirrorCheck(after, dataverse).now(after.entities, 'the end');
    expect((await before.databaseBytes()).equals(old)).toBe(true);
  });

  it('continues from its cursors if the container was copied', async () => {
    const settings = { SYNC_WORK_CONTAINER: 'work-three', SYNC_DATABASE_CONTAINER: 'copied' };
    const before = await create({ ...settings, SYNC_DATABASE_STORAGE: first });
    await before.sync();
    const from = BlobServiceClient.fromConnectionString(first).getContainerClient('copied');
    const to = BlobServiceClient.fromConnectionString(second).getContainerClient('copied');
    await to.createIfNotExists();
    for await (const { name } of from.listBlobsFlat()) {
      const bytes = await from.getBlobClient(name).downloadToBuffer();
      await to.getBlockBlobClient(name).uploadData(bytes);
    }
    dataverse.store.create('contact', { lastname: 'After the move' });
    const after = await create({ ...settings, SYNC_DATABASE_STORAGE: second });
    const { entities } = await after.sync();
    expect(entities.find(({ name }) => name === 'contact')).toMatchObject({ rowsRead: 1, added: 1 });
    await new MirrorCheck(after, dataverse).now(after.entities, 'the end');
  });
});
