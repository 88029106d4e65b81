import { randomBytes } from 'node:crypto';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { Harness } from '../harness.ts';
import { withDatabase } from '../truth.ts';

interface FileRow {
  row_id: string;
  column_name: string;
  file_id: string;
  name: string | null;
  blob: string | null;
  bytes: number;
  error: string | null;
}

describe('files: true', () => {
  let azurite: Azurite;
  let dataverse: SampleDataverse;
  let ids: string[];

  beforeAll(async () => {
    azurite = await startAzurite();
    dataverse = await startSampleDataverse({ rows: 120 });
    ids = [...dataverse.store.truth('account').keys()];
    // A few of the generated images are enough.
    for (const id of ids.slice(4)) dataverse.store.update('account', id, { entityimage: null });
  });
  afterAll(async () => {
    await dataverse.stop();
    await azurite.stop();
  });

  const create = (settings: Record<string, string> = {}) =>
    Harness.create({
      connectionString: azurite.connectionString,
      dataverseUrl: dataverse.url,
      entities: [{ name: 'account', files: true }, 'contact'],
      settings,
    });

  const upload = (harness: Harness, id: string, column: string, name: string, data: Buffer) =>
    harness.services.dataverse.uploadFile({ entitySet: 'accounts', id, column }, name, data);

  const filesOf = async (harness: Harness): Promise<FileRow[]> =>
    withDatabase(
      await harness.databaseBytes(),
      (db) => db.prepare('SELECT * FROM _files ORDER BY column_name, row_id').all() as unknown as FileRow[],
    );

  /** The blobs beside the database, by name. */
  async function blobsOf(harness: Harness): Promise<Map<string, Buffer>> {
    const container = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(
      harness.services.settings.containers.database,
    );
    const blobs = new Map<string, Buffer>();
    for await (const { name } of container.listBlobsFlat({ prefix: 'files/' })) {
      blobs.set(name, await container.getBlobClient(name).downloadToBuffer());
    }
    return blobs;
  }

  /** Each file that the rows show must have its content in a blob. There must be no other blobs. */
  async function expectFiles(harness: Harness): Promise<void> {
    const blobs = await blobsOf(harness);
    const rows = await filesOf(harness);
    expect(rows.map(({ blob }) => blob).sort()).toEqual([...blobs.keys()].sort());
    const shown: string[] = [];
    for (const [id, values] of dataverse.store.truth('account')) {
      for (const column of ['new_contract', 'entityimage']) {
        if (values[column] === null) continue;
        shown.push(`files/accounts/${id}/${column}`);
        const truth =
          dataverse.files.file('account', id, column)?.data ?? Buffer.from(String(values[column]), 'base64');
        expect(blobs.get(shown.at(-1)!)?.equals(truth)).toBe(true);
        const row = rows.find((one) => one.row_id === id && one.column_name === column);
        expect(row).toMatchObject({ bytes: truth.length, error: null });
        if (column === 'new_contract')
          expect(row).toMatchObject({ file_id: values[column], name: values['new_contract_name'] });
      }
    }
    expect([...blobs.keys()].sort()).toEqual(shown.sort());
  }

  it('leaves files alone in a run of other tables', async () => {
    const harness = await create();
    await harness.sync();
    const before = await filesOf(harness);
    expect(before.length).toBeGreaterThan(0);
    dataverse.store.create('contact', { firstname: 'Ada' });
    expect(await harness.sync({ tables: ['contact'] })).toMatchObject({
      totals: { added: 1 },
      files: { fetched: 0, removed: 0 },
    });
    expect(await filesOf(harness)).toEqual(before);
    expect((await harness.sync()).files).toBeUndefined();
  });

  it('keeps contents beside the database: fetched once and after each change, removed with the row', async () => {
    const harness = await create();
    // Larger than one chunk of the download.
    await upload(harness, ids[0]!, 'new_contract', 'Vertrag “ü”.pdf', randomBytes(5_000_000));
    await upload(harness, ids[1]!, 'new_contract', 'two.pdf', randomBytes(1000));
    await upload(harness, ids[1]!, 'entityimage', 'logo.png', randomBytes(20_000));
    const first = await harness.sync();
    expect(first).toMatchObject({ phase: 'complete', files: { failed: 0, removed: 0 } });
    expect(first.files!.fetched).toBeGreaterThanOrEqual(3);
    await expectFiles(harness);
    expect(first.database).toMatchObject({
      bytes: (await harness.databaseBytes()).length,
      etag: await harness.storage.databaseFile.currentEtag(),
    });

    const downloads: string[] = [];
    const real = harness.services.dataverse;
    const downloadFile: typeof real.downloadFile = (place, options) => {
      downloads.push(`${place.id} ${place.column}`);
      return real.downloadFile(place, options);
    };
    Object.assign(harness.services, { dataverse: { ...real, downloadFile } });
    const idle = await harness.sync();
    expect(idle.files).toBeUndefined();
    expect(idle.database).toMatchObject({ stagedBlocks: 0 });
    expect((await harness.sync()).database).toMatchObject({ stagedBlocks: 0 });

    // A change of the row does not change its files.
    dataverse.store.update('account', ids[0]!, { telephone1: '+45' });
    await harness.sync();
    expect(downloads).toEqual([]);

    await upload(harness, ids[0]!, 'new_contract', 'new.pdf', randomBytes(3000));
    const changed = await harness.sync();
    expect(changed.files).toMatchObject({ fetched: 1, bytes: 3000 });
    expect(downloads).toEqual([`${ids[0]} new_contract`]);
    await expectFiles(harness);

    await real.deleteFile({ entitySet: 'accounts', id: ids[0]!, column: 'new_contract' });
    dataverse.store.delete('account', ids[1]!);
    const removed = await harness.sync();
    expect(removed.files).toMatchObject({ fetched: 0, removed: 3 });
    await expectFiles(harness);
    expect((await harness.sync()).files).toBeUndefined();
  });

  it('reports a file that cannot be fetched, and tries again if the error may pass', async () => {
    const harness = await create();
    await upload(harness, ids[0]!, 'new_contract', 'lost.pdf', randomBytes(100));
    await upload(harness, ids[2]!, 'new_contract', 'late.pdf', randomBytes(200));
    const real = harness.services.dataverse;
    const { DataverseError, DataverseRetriableError } = await import(
      '../../../src/dataverse/errors/errors.ts'
    );
    const downloadFile: typeof real.downloadFile = (place, options) => {
      const fault = { operation: 'download', transient: false };
      if (place.column !== 'new_contract') return real.downloadFile(place, options);
      if (place.id === ids[0]) throw new DataverseError('The file is lost', { fault });
      if (place.id === ids[2]) throw new DataverseRetriableError('Busy', { fault });
      return real.downloadFile(place, options);
    };
    Object.assign(harness.services, { dataverse: { ...real, downloadFile } });
    const first = await harness.sync();
    expect(first).toMatchObject({ phase: 'complete', totals: { failed: 0 }, files: { failed: 2 } });
    const contracts = (await filesOf(harness)).filter((row) => row.column_name === 'new_contract');
    expect(contracts).toMatchObject([
      { row_id: ids[0], blob: null, bytes: 0, error: expect.stringContaining('The file is lost') },
    ]);
    const etag = await harness.storage.databaseFile.currentEtag();
    for (let idle = 0; idle < 2; idle++) {
      expect((await harness.sync()).files).toMatchObject({ fetched: 0, failed: 1 });
      expect(await harness.storage.databaseFile.currentEtag()).toBe(etag);
    }
    Object.assign(harness.services, { dataverse: real });
    const second = await harness.sync();
    expect(second.files).toMatchObject({ fetched: 1, bytes: 200, failed: 0 });
    expect((await harness.sync()).files).toBeUndefined();
    for (const id of [ids[0]!, ids[2]!])
      await real.deleteFile({ entitySet: 'accounts', id, column: 'new_contract' });
  });

  it('continues in the next run if the process dies between the commit and state.json', async () => {
    const harness = await create();
    const { databaseFile } = harness.storage;
    const commit = databaseFile.commit.bind(databaseFile);
    let commits = 0;
    databaseFile.commit = async (...args) => {
      const result = await commit(...args);
      commits += 1;
      if (commits === 2) throw new Error('killed');
      return result;
    };
    const first = await harness.sync();
    expect(first).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
    expect(first.files).toBeUndefined();
    expect(harness.log).toContainEqual(expect.objectContaining({ level: 'error' }));
    await harness.restarted();
    // The commit counts, and nothing is fetched twice.
    expect((await harness.sync()).files).toMatchObject({ fetched: 0, failed: 0 });
    await expectFiles(harness);
    expect((await harness.sync()).files).toBeUndefined();
  });

  it('continues in a further invocation when its time is up, and removes all files when it is turned off', async () => {
    const harness = await create({ SYNC_SLICE_SECONDS: '1' });
    const count = 12;
    for (const id of ids.slice(4, 4 + count))
      await upload(harness, id, 'new_contract', 'a.txt', randomBytes(50));
    const real = harness.services.dataverse;
    const downloadFile: typeof real.downloadFile = async function* (place, options) {
      await new Promise((resolve) => setTimeout(resolve, 1100));
      yield* real.downloadFile(place, options);
    };
    Object.assign(harness.services, { dataverse: { ...real, downloadFile } });
    let merges = 0;
    const { sendMerge } = harness.services;
    harness.services.sendMerge = (message) => {
      merges += 1;
      return sendMerge(message);
    };
    const status = await harness.sync();
    expect(merges).toBeGreaterThan(1);
    expect(status.files!.fetched).toBeGreaterThanOrEqual(count);
    await expectFiles(harness);

    harness.entities = harness.entities.map((entity) => ({ ...entity, files: false }));
    expect((await harness.sync()).files!.removed).toBeGreaterThanOrEqual(count);
    expect(await filesOf(harness)).toEqual([]);
    expect((await blobsOf(harness)).size).toBe(0);
    expect((await harness.sync()).files).toBeUndefined();
    expect((await harness.sync()).database).toMatchObject({ stagedBlocks: 0 });
  });
});
