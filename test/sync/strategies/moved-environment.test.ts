import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { createSyncServices } from '../../../src/sync-services.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { Harness } from '../harness.ts';
import { differences, readTruth, withDatabase } from '../truth.ts';

describe('an environment whose address changed', () => {
  let azurite: Azurite;
  beforeAll(async () => {
    azurite = await startAzurite();
  });
  afterAll(() => azurite.stop());

  it('is read again: no request with the token follows a stored delta link to the old origin', async () => {
    const before = await startSampleDataverse({ rows: 300 });
    const harness = await Harness.create({
      connectionString: azurite.connectionString,
      dataverseUrl: before.url,
      entities: ['account'],
    });
    await harness.sync();
    const requests = before.stats.requests;

    const after = await startSampleDataverse({ rows: 320 });
    const { settings, telemetry } = harness.services;
    const elsewhere = { ...settings, dataverse: { ...settings.dataverse, url: after.url } };
    const moved = await createSyncServices(elsewhere, harness.storage, telemetry);
    harness.services.dataverse = moved.dataverse;
    const status = await harness.sync();
    expect(status.entities[0]).toMatchObject({ strategy: 'delta', state: 'merged' });
    expect(status.entities[0]!.reason).toMatch(/away from/);
    expect(before.stats.requests).toBe(requests);
    const truth = await readTruth(after.url, 'accounts');
    withDatabase(await harness.databaseBytes(), (db) => {
      expect(differences(db, { entitySet: 'accounts', primaryKey: 'accountid' }, truth)).toEqual([]);
    });
    await before.stop();
    await after.stop();
  });
});
