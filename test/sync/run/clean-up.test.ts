import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { paths } from '../../../src/sync/documents/paths.ts';
import { cleanUp } from '../../../src/sync/run/clean-up.ts';
import { stateName } from '../../../src/target/sqlite/state-file.ts';
import { emptyState } from '../../../src/target/state.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { Harness } from '../harness.ts';

describe('cleanUp', () => {
  let azurite: Azurite;
  beforeAll(async () => {
    azurite = await startAzurite();
  });
  afterAll(() => azurite.stop());

  it('keeps the latest hundred runs, and the catalogs and lists that the state names', async () => {
    const harness = await Harness.create({
      connectionString: azurite.connectionString,
      dataverseUrl: 'http://127.0.0.1:9',
      entities: ['account'],
    });
    const { services } = harness;
    const { work } = services;
    const runId = (n: number): string => `20261121T${String(100000 + n)}Z-00000000`;
    const names = async (prefix: string): Promise<string[]> => {
      const found: string[] = [];
      for await (const { name } of work.list(prefix)) found.push(name);
      return found;
    };
    for (let n = 0; n < 119; n++) await work.put(paths.run(runId(n)), {});
    await work.put(paths.catalog('named'), {});
    await work.put(paths.catalog('forgotten'), {});
    await work.put(paths.storedIds('fresh'), []);
    await services.published.put(stateName, { ...emptyState(), catalog: 'named' });
    await cleanUp(services);
    expect(await names('runs/')).toHaveLength(119);

    await work.put(paths.run(runId(119)), {});
    services.now = () => new Date(Date.now() + 25 * 3_600_000);
    await cleanUp(services);
    const left = await names('runs/');
    expect(left).toHaveLength(100);
    expect(left[0]).toBe(paths.run(runId(20)));
    expect(await names('catalogs/')).toEqual([paths.catalog('named')]);
    expect(await names('stored-ids/')).toEqual([]);
  });

  it.each([
    // Every hour one, the newest ten minutes old.
    ['10', 12, 10],
    ['10', 11, 11],
    ['24h', 200, 24],
    ['10000,2d', 200, 48],
    ['30,24h', 200, 24],
    ['5,1h', 30, 5],
    ['100', 119, 119],
  ])('SYNC_KEEP_RUNS=%s of %i runs keeps %i', async (setting, runs, expected) => {
    const harness = await Harness.create({
      dataverseUrl: 'http://127.0.0.1:9',
      entities: ['account'],
      settings: { SYNC_KEEP_RUNS: setting },
    });
    const { services } = harness;
    const now = Date.now();
    const ids = Array.from({ length: runs }, (_, n) => {
      const at = new Date(now - n * 3_600_000 - 600_000);
      return `${at.toISOString().replace(/[-:.]/g, '')}-00000000`;
    });
    for (const runId of ids) await services.work.put(paths.run(runId), {});
    services.now = () => new Date(now);
    await cleanUp(services);
    const left: string[] = [];
    for await (const runId of services.work.folders('runs/')) left.push(runId);
    expect(left.reverse()).toEqual(ids.slice(0, expected));
  });
});
