import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SyncError } from '../../../src/errors.ts';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { wholeContent } from '../../../src/storage/database/database-file.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { loadFile } from '../../storage/whole-file.ts';
import { Harness } from '../harness.ts';
import { differences, readTruth, withDatabase } from '../truth.ts';

const tables = [
  { name: 'account', entitySet: 'accounts', primaryKey: 'accountid' },
  { name: 'contact', entitySet: 'contacts', primaryKey: 'contactid' },
  { name: 'new_shipmentline', entitySet: 'new_shipmentlineset', primaryKey: 'new_shipmentlineid' },
];

describe('a sync with faults', () => {
  let azurite: Azurite;
  let dataverse: SampleDataverse;

  beforeAll(async () => {
    azurite = await startAzurite();
    dataverse = await startSampleDataverse({ rows: 400 });
  });
  afterAll(async () => {
    await dataverse.stop();
    await azurite.stop();
  });

  const create = (storage: 'emulator' | 'memory' = 'memory') =>
    Harness.create({
      ...(storage === 'emulator' && { connectionString: azurite.connectionString }),
      dataverseUrl: dataverse.url,
      entities: tables.map((table) => table.name),
      settings: { SYNC_SLICE_MB: '0.05', DATAVERSE_PAGE_SIZE: '25' },
    });

  async function expectMirror(harness: Harness): Promise<void> {
    const bytes = await harness.databaseBytes();
    for (const table of tables) {
      const truth = await readTruth(dataverse.url, table.entitySet);
      withDatabase(bytes, (db) => expect(differences(db, table, truth)).toEqual([]));
    }
  }

  it('starts one run for several requests at the same time', async () => {
    const harness = await create();
    const results = await Promise.all([harness.start(), harness.start(), harness.start()]);
    expect(results.map((result) => result.outcome).sort()).toEqual(['live', 'live', 'started']);
    expect(new Set(results.map((result) => result.runId)).size).toBe(1);
    await harness.drain();
    await expectMirror(harness);
  });

  /** The steps that change storage. A process may die before or after each of them. */
  const steps = [
    'create',
    'createIfAbsent',
    'putBytes',
    'put',
    'replaceIfUnchanged',
    'deleteIfUnchanged',
    'deletePrefix',
  ] as const;

  it.each([
    ['before', 1, 'emulator'],
    ['after', 1, 'memory'],
    ['before', 3, 'memory'],
    ['after', 3, 'emulator'],
  ] as const)('recovers if it dies %s every step in turn (period %i, %s)', async (when, period, storage) => {
    const harness = await create(storage);
    harness.mergeDelay = 1e-4;
    let calls = 0;
    let armed = true;
    const die = (): void => {
      if (armed && calls++ % (period + 1) === period) throw new Error('killed');
    };
    const { work, published, databaseFile } = harness.storage;
    for (const store of [work, published]) {
      for (const step of steps) {
        const real = store[step].bind(store) as (...args: unknown[]) => Promise<unknown>;
        (store as unknown as Record<string, unknown>)[step] = async (...args: unknown[]) => {
          if (when === 'before') die();
          const result = await real(...args);
          if (when === 'after') die();
          return result;
        };
      }
    }
    const commit = databaseFile.commit.bind(databaseFile);
    databaseFile.commit = async (...args) => {
      const result = await commit(...args);
      die();
      return result;
    };
    for (let round = 0; round < 40; round++) {
      // Runs that the timer starts are planned where they start.
      const trigger = round % 2 === 0 ? 'http' : 'timer';
      await harness.start({ resume: true, trigger }).catch(() => undefined);
      for (let n = 0; n < 60 && harness.waiting > 0; n++) {
        const error = await harness.deliver().catch((fault: unknown) => fault);
        // The process loses its memory. The queue delivers its messages to the next one.
        if (error !== undefined) harness.restarted();
      }
      if ((await work.read(paths.active)) === undefined && round > 2) break;
    }
    armed = false;
    await harness.drain();
    const status = await harness.sync({ resume: true });
    expect(status.phase).toBe('complete');
    expect((await harness.sync()).totals).toMatchObject({ failed: 0 });
    await expectMirror(harness);
  });

  it('completes without a table that fails, and reads it in the next run', async () => {
    const harness = await create();
    const { dataverse: client } = harness.services;
    const readPages = client.readPages.bind(client);
    harness.services.dataverse = {
      ...client,
      readPages: (query, options) => {
        if (query.entitySet === 'contacts') throw new SyncError('the contacts are out');
        return readPages(query, options);
      },
    };
    const first = await harness.sync();
    expect(first.phase).toBe('complete');
    expect(first.entities.find((entity) => entity.name === 'contact')).toMatchObject({
      state: 'failed',
      error: 'the contacts are out',
    });
    expect(first.entities.filter((entity) => entity.state === 'merged')).toHaveLength(2);
    harness.services.dataverse = client;
    const second = await harness.sync();
    expect(second.totals.failed).toBe(0);
    await expectMirror(harness);
  });

  it('fails after a merge that fails repeatedly, and the next run merges everything', async () => {
    const harness = await create();
    const { databaseFile } = harness.storage;
    const commit = databaseFile.commit.bind(databaseFile);
    databaseFile.commit = async () => {
      throw new SyncError('the storage account is full');
    };
    const first = await harness.sync();
    expect(first).toMatchObject({ phase: 'failed', error: 'the storage account is full' });
    databaseFile.commit = commit;
    expect((await harness.sync()).phase).toBe('complete');
    await expectMirror(harness);
  });

  it('repeats the merge if another writer committed first', async () => {
    const harness = await create();
    await harness.sync();
    const { databaseFile } = harness.storage;
    const commit = databaseFile.commit.bind(databaseFile);
    let raced = 0;
    databaseFile.commit = async (content, expected) => {
      if (raced++ === 0) {
        const loaded = await loadFile(databaseFile);
        if (typeof loaded !== 'string') {
          // Another writer commits the same rows in a different file.
          loaded.bytes.writeUInt32BE(loaded.bytes.readUInt32BE(60) + 1, 60);
          await commit(wholeContent(loaded.bytes), { etag: loaded.etag });
        }
      }
      return commit(content, expected);
    };
    const box = (await readTruth(dataverse.url, 'new_shipmentlineset'))[0]!;
    dataverse.store.delete('new_shipmentline', String(box.new_shipmentlineid));
    const status = await harness.sync();
    expect(status.phase).toBe('complete');
    expect(raced).toBe(2);
    expect(status.totals.deleted).toBe(1);
    await expectMirror(harness);
  });

  it('shows readers whole states: every download during a sync passes integrity_check', async () => {
    const harness = await create();
    await harness.sync();
    for (const { new_shipmentlineid: id } of (await readTruth(dataverse.url, 'new_shipmentlineset')).slice(
      0,
      5,
    )) {
      dataverse.store.delete('new_shipmentline', String(id));
    }
    let over = false;
    let downloads = 0;
    const reader = (async () => {
      while (!over) {
        const bytes = await harness.databaseBytes();
        downloads += 1;
        withDatabase(bytes, (db) =>
          expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' }),
        );
      }
    })();
    await harness.sync();
    over = true;
    await reader;
    expect(downloads).toBeGreaterThan(1);
  });
});
