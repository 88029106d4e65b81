import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { Harness } from '../harness.ts';
import { differences, readTruth, withDatabase } from '../truth.ts';

const sets: Record<string, string> = {
  businessunit: 'businessunits',
  systemuser: 'systemusers',
  team: 'teams',
  teammembership: 'teammemberships',
  account: 'accounts',
  contact: 'contacts',
  email: 'emails',
  activitypointer: 'activitypointers',
  new_box: 'new_boxes',
  new_shipmentline: 'new_shipmentlineset',
  new_ledgerentry: 'new_ledgerentries',
  new_widerecord: 'new_widerecords',
  accountleads: 'accountleadscollection',
};
const keys: Record<string, string> = {
  email: 'activityid',
  activitypointer: 'activityid',
  accountleads: 'accountleadid',
};

describe('a first sync', () => {
  let azurite: Azurite;
  let dataverse: SampleDataverse;

  beforeAll(async () => {
    azurite = await startAzurite();
    dataverse = await startSampleDataverse({ rows: 1500 });
  });
  afterAll(async () => {
    await dataverse.stop();
    await azurite.stop();
  });

  const create = (settings: Record<string, string> = {}) =>
    Harness.create({
      connectionString: azurite.connectionString,
      dataverseUrl: dataverse.url,
      entities: Object.keys(sets),
      settings,
    });

  async function expectMirror(harness: Harness): Promise<void> {
    const bytes = await harness.databaseBytes();
    const found: string[] = [];
    for (const [name, entitySet] of Object.entries(sets)) {
      const truth = await readTruth(dataverse.url, entitySet);
      expect(truth.length).toBeGreaterThan(0);
      withDatabase(bytes, (db) => {
        expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
        found.push(...differences(db, { entitySet, primaryKey: keys[name] ?? `${name}id` }, truth));
      });
    }
    expect(found).toEqual([]);
  }

  it('brings every row of every table, all columns equal', async () => {
    const harness = await create();
    const status = await harness.sync();
    expect(status.phase).toBe('complete');
    expect(status.entities.filter((entity) => entity.error !== undefined)).toEqual([]);
    await expectMirror(harness);
  });

  it('brings them in many small slices, too, delivered in any order', async () => {
    const harness = await create({ SYNC_SLICE_MB: '0.02', DATAVERSE_PAGE_SIZE: '20' });
    const status = await harness.sync();
    expect(status.phase).toBe('complete');
    expect(status.totals.pages).toBeGreaterThan(60);
    await expectMirror(harness);
  });

  it('is followed by a second sync that finds everything unchanged and stages no block', async () => {
    const harness = await create();
    const first = await harness.sync();
    const second = await harness.sync();
    expect(second.totals).toMatchObject({
      added: 0,
      updated: 0,
      deleted: 0,
      failed: 0,
      unchanged: first.totals.added,
    });
    expect(second.database).toMatchObject({ stagedBlocks: 0, stagedBytes: 0, etag: first.database!.etag });
    await expectMirror(harness);
  });

  it('fills _sync_state and _sync_log', async () => {
    const harness = await create();
    const status = await harness.sync();
    withDatabase(await harness.databaseBytes(), (db) => {
      const states = db.prepare('SELECT entity, rows, last_run FROM _sync_state').all();
      expect(states).toHaveLength(Object.keys(sets).length);
      const log = db.prepare('SELECT entity, added, run_id FROM _sync_log').all();
      expect(log.map((row) => row.run_id)).toEqual(Array(states.length).fill(status.runId));
      expect(log.reduce((sum, row) => sum + Number(row.added), 0)).toBe(status.totals.added);
    });
  });
});
