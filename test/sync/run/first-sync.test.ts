import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import type { RunStatus } from '../../../src/sync/run/run-status.ts';
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

  let harness: Harness;
  let first: RunStatus;
  let afterFirst: Buffer;

  beforeAll(async () => {
    azurite = await startAzurite();
    dataverse = await startSampleDataverse({ rows: 800 });
    harness = await create();
    first = await harness.sync();
    afterFirst = await harness.databaseBytes();
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

  async function expectMirror(bytes: Buffer): Promise<void> {
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
    expect(first.phase).toBe('complete');
    expect(first.entities.filter((entity) => entity.error !== undefined)).toEqual([]);
    await expectMirror(afterFirst);
  });

  it('brings them in many small slices, too, delivered in any order', async () => {
    const other = await create({ SYNC_SLICE_MB: '0.02', DATAVERSE_PAGE_SIZE: '12' });
    const status = await other.sync();
    expect(status.phase).toBe('complete');
    expect(status.totals.pages).toBeGreaterThan(60);
    await expectMirror(await other.databaseBytes());
  });

  it('is followed by a second sync that finds everything unchanged and stages no block', async () => {
    const second = await harness.sync();
    expect(second.totals).toMatchObject({
      added: 0,
      updated: 0,
      deleted: 0,
      failed: 0,
      unchanged: first.totals.added,
    });
    expect(second.database).toMatchObject({ stagedBlocks: 0, stagedBytes: 0, etag: first.database!.etag });
    await expectMirror(await harness.databaseBytes());
  });

  it('fills _sync_state and _sync_log', () => {
    withDatabase(afterFirst, (db) => {
      const states = db.prepare('SELECT entity, rows, last_run FROM _sync_state').all();
      expect(states).toHaveLength(Object.keys(sets).length);
      const log = db.prepare('SELECT entity, added, run_id FROM _sync_log').all();
      expect(log.map((row) => row.run_id)).toEqual(Array(states.length).fill(first.runId));
      expect(log.reduce((sum, row) => sum + Number(row.added), 0)).toBe(first.totals.added);
    });
  });
});
