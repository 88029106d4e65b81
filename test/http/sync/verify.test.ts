import { HttpRequest } from '@azure/functions';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Problem } from '../../../src/http/problem.ts';
import { getVerify } from '../../../src/http/sync/get-verify.ts';
import { postVerify } from '../../../src/http/sync/post-verify.ts';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import type { VerifyReport } from '../../../src/sync/run/verify.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { Harness } from '../../sync/harness.ts';

const url = 'https://app.example/api/verify?code=key';
const post = async (harness: Harness) =>
  postVerify(harness.services, new HttpRequest({ method: 'POST', url }));
const get = async (harness: Harness): Promise<VerifyReport> => {
  const { jsonBody } = await getVerify(harness.services, new HttpRequest({ method: 'GET', url }));
  return JSON.parse(JSON.stringify(jsonBody));
};

describe('POST and GET /api/verify, on Azure Storage', () => {
  let azurite: Azurite;
  let dataverse: SampleDataverse;
  let harness: Harness;

  beforeAll(async () => {
    azurite = await startAzurite();
    dataverse = await startSampleDataverse({ rows: 300 });
    harness = await Harness.create({
      connectionString: azurite.connectionString,
      dataverseUrl: dataverse.url,
      entities: ['account', 'contact'],
      // The database does not fit, and each message does as little as it can.
      settings: { SYNC_CACHE_MB: '0.1', SYNC_CHECK_HOURS: '0' },
    });
  });
  afterAll(async () => {
    await dataverse.stop();
    await azurite.stop();
  });

  it('answer 404 before the first sync', async () => {
    for (const answer of [post(harness), get(harness)]) {
      const error = await answer.catch((problem: unknown) => problem);
      expect(error).toBeInstanceOf(Problem);
      expect((error as Problem).document).toMatchObject({ status: 404, hint: expect.any(String) });
    }
    expect(harness.waiting).toBe(0);
  });

  it('start a check, show how far it is, and what it found, while a process dies and a run commits', async () => {
    await harness.sync();
    harness.services.settings.sync.sliceSeconds = 0;
    const { status, headers, jsonBody } = await post(harness);
    const statusUrl = 'https://app.example/api/verify';
    expect([status, headers]).toEqual([202, { location: statusUrl }]);
    expect(jsonBody).toEqual({ checkId: expect.any(String), outcome: 'started', statusUrl });
    const { checkId } = jsonBody as { checkId: string };
    expect(await post(harness)).toMatchObject({
      status: 409,
      jsonBody: { checkId, outcome: 'live', statusUrl },
    });
    expect(await get(harness)).toEqual({
      check: expect.objectContaining({ state: 'running' }),
      checked: null,
    });

    await harness.deliver();
    harness.restarted();
    const [id] = [...dataverse.store.truth('account').keys()];
    dataverse.store.update('account', id!, { name: 'Changed while the database is checked' });
    harness.services.settings.sync.sliceSeconds = 120;
    const committed = await harness.sync();
    expect(committed.database?.stagedBytes).toBeGreaterThan(0);

    const { check, checked, ...report } = await get(harness);
    expect(check).toMatchObject({ checkId, state: 'complete' });
    expect(checked).toMatchObject({ checkId, faultCount: 0, faults: [], miscounted: [] });
    expect(report).toEqual({
      database: checked!.database,
      tables: 2,
      danglingReferences: checked!.danglingReferences,
      foreignKeys: checked!.foreignKeys,
      seconds: expect.any(Number),
    });
    expect(report.database!.bytes).toBe((await harness.databaseBytes()).length);
    const stored = await harness.services.published.read('database-check.json');
    expect(stored!.value).toMatchObject({ checkId, faultCount: 0 });
  });

  it('count references for the answer where the database fits into memory', async () => {
    const { cacheBytes } = harness.services.settings.sync;
    harness.services.settings.sync.cacheBytes = 1e8;
    harness.restarted();
    const report = await get(harness);
    expect(report.danglingReferences).toBe(report.checked!.danglingReferences);
    expect(report.foreignKeys).toEqual(report.checked!.foreignKeys);
    harness.services.settings.sync.cacheBytes = cacheBytes;
    harness.restarted();
  });
});
