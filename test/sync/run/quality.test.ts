import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { Harness } from '../harness.ts';

describe('quality figures', () => {
  let azurite: Azurite;
  let dataverse: SampleDataverse;

  beforeAll(async () => {
    azurite = await startAzurite();
    dataverse = await startSampleDataverse({ rows: 500 });
  });
  afterAll(async () => {
    await dataverse.stop();
    await azurite.stop();
  });

  const create = (entities: unknown[]) =>
    Harness.create({ connectionString: azurite.connectionString, dataverseUrl: dataverse.url, entities });

  /** Records which tables are counted. The counts of `wrong` are one too high. */
  function countsOf(harness: Harness, wrong: string[] = []): string[] {
    const asked: string[] = [];
    const real = harness.services.dataverse;
    const count: typeof real.count = async (entitySet, options) => {
      asked.push(entitySet);
      const rows = await real.count(entitySet, options);
      return rows === undefined || !wrong.includes(entitySet) ? rows : rows + 1;
    };
    Object.assign(harness.services, { dataverse: { ...real, count } });
    return asked;
  }

  it('are rows by strategy, and a comparison with the counts of Dataverse for tables that the run changed', async () => {
    const harness = await create([
      'account',
      'contact',
      { name: 'systemuser', filtered: true },
      'teammembership',
    ]);
    const asked = countsOf(harness, ['contacts']);
    const first = await harness.sync();
    expect(asked.sort()).toEqual(['accounts', 'contacts', 'teammemberships']);
    const accounts = dataverse.store.count('account');
    expect(first.quality).toMatchObject({ counted: 3, miscounted: ['contact'] });
    expect(first.quality!.byStrategy.filtered).toMatchObject({ tables: 1 });
    const tables = Object.values(first.quality!.byStrategy);
    expect(tables.reduce((sum, share) => sum + share.tables, 0)).toBe(4);
    expect(tables.reduce((sum, share) => sum + share.rows, 0)).toBe(first.quality!.rows);
    expect(first.entities.find(({ name }) => name === 'account')).toMatchObject({
      rows: accounts,
      dataverseRows: accounts,
    });
    asked.length = 0;
    dataverse.store.update('account', [...dataverse.store.truth('account').keys()][0]!, {
      telephone1: '+45 1',
    });
    const second = await harness.sync();
    expect(asked).toEqual(['accounts']);
    expect(second.quality).toMatchObject({ counted: 1, miscounted: [] });
  });

  it('of an idle run say how old the mirror is, without a request to Dataverse', async () => {
    const harness = await create(['account', 'contact']);
    const first = await harness.sync();
    const asked = countsOf(harness);
    const idle = await harness.sync();
    expect(asked).toEqual([]);
    expect(idle.quality).toMatchObject({ counted: 0, rows: first.quality!.rows });
    expect(Date.parse(idle.quality!.oldestSync!)).toBeGreaterThanOrEqual(Date.parse(first.startedAt));
    expect(idle.quality!.oldestSync! > first.quality!.oldestSync!).toBe(true);
    expect(idle.quality!.ageSeconds).toBeGreaterThanOrEqual(0);
  });

  it('show the age of a table that fails, and do without the counts of Dataverse', async () => {
    const harness = await create(['account', 'contact']);
    const first = await harness.sync();
    const real = harness.services.dataverse;
    Object.assign(harness.services, {
      dataverse: {
        ...real,
        count: async () => {
          throw new Error('no count');
        },
        readPages: (...args: Parameters<typeof real.readPages>) => {
          if (args[0].entitySet === 'contacts') throw new Error('the contacts are out');
          return real.readPages(...args);
        },
      },
    });
    dataverse.store.update('account', [...dataverse.store.truth('account').keys()][1]!, {
      telephone1: '+45 2',
    });
    const second = await harness.sync();
    expect(second).toMatchObject({ phase: 'complete', totals: { failed: 1, updated: 1 } });
    expect(second.quality).toMatchObject({ counted: 0, oldestSync: first.quality!.oldestSync });
    const account = second.entities.find(({ name }) => name === 'account')!;
    expect(account.syncedAt! > second.quality!.oldestSync!).toBe(true);
  });
});
