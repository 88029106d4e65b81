import { afterEach, describe, expect, it } from 'vitest';
import { Organisation } from '../organisation.ts';
import { query, tablesOf } from './databases.ts';

let org: Organisation;
afterEach(() => org.stop());

const views = async (database?: string): Promise<unknown[]> =>
  (
    await query(
      org,
      database,
      "SELECT name FROM sqlite_master WHERE type = 'view' AND name LIKE '%labelled' ORDER BY 1",
    )
  ).map(({ name }) => name);

const labels = async (database?: string): Promise<unknown> =>
  (await query(org, database, "SELECT count(*) AS n FROM _choices WHERE table_name = 'contacts'"))[0]!['n'];

/** Whether all views can be read. */
const expectReadable = async (database?: string): Promise<void> => {
  for (const name of await views(database)) await query(org, database, `SELECT * FROM ${name}`);
};

describe('the labels of a table that moves to another database', () => {
  it('stay where they were until it is read', async () => {
    org = await Organisation.start(['account', 'contact']);
    org.rows('account', 2);
    org.rows('contact', 4);
    await org.sync();
    const before = await labels();
    expect(before).toBeGreaterThan(0);
    expect(await views()).toEqual(['accounts_labelled', 'contacts_labelled']);
    org.harness.configure(['account', { name: 'contact', database: 'sales' }]);
    org.dataverse.faults.add({ kind: '503', match: /\/contacts/, times: 1000 });
    org.rows('account', 1);
    await org.sync();
    expect(await views()).toEqual(['accounts_labelled', 'contacts_labelled']);
    expect(await labels()).toBe(before);
    await expectReadable();
    org.dataverse.faults.clear();
    await org.sync();
    expect([await views(), await views('sales')]).toEqual([['accounts_labelled'], ['contacts_labelled']]);
    expect([await labels(), await labels('sales')]).toEqual([0, before]);
    await expectReadable();
  });

  it('leave no view that refers to it, also if nothing else changed', async () => {
    org = await Organisation.start(['account', 'contact']);
    org.rows('account', 2);
    org.rows('contact', 4);
    await org.sync();
    org.harness.configure(['account', { name: 'contact', database: 'sales' }]);
    await org.sync();
    expect(await tablesOf(org)).toEqual(['accounts']);
    await expectReadable();
    const etags = await org.harness.etags(undefined, 'sales');
    await org.sync();
    await expectReadable();
    expect(await org.harness.etags(undefined, 'sales')).toEqual(etags);
  });
});
