import { afterEach, describe, expect, it } from 'vitest';
import { Organisation } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

const tables = () => org.query('SELECT * FROM _sync_tables ORDER BY 1');
const column = async (table: string, name: string) =>
  (
    await org.query(
      `SELECT display_name, description FROM _sync_columns WHERE table_name = '${table}' AND column_name = '${name}'`,
    )
  ).map((row) => ({ ...row }))[0];
const sampleColumn = (table: string, name: string) =>
  org.store.table(table).columns.find((one) => one.name === name)!;

describe('display names and descriptions', () => {
  it('are in the mirror after the first sync, follow changes, and leave with their table', async () => {
    org = await Organisation.start(['account', 'contact']);
    const hostile = `Robert'); DROP TABLE accounts;--\u0000\ud800 <b>"x"</b>\u202e`;
    Object.assign(org.store.table('account'), { displayName: 'Customer', description: hostile });
    Object.assign(sampleColumn('account', 'name'), {
      displayName: 'Trading name',
      description: `${'x'.repeat(1999)}😀`,
    });
    Object.assign(sampleColumn('contact', '_parentcustomerid_value'), { displayName: 'Works for' });
    org.rows('account', 2);
    await org.sync();
    const stored = hostile.toWellFormed();
    expect((await tables()).map((row) => ({ ...row }))).toEqual([
      { table_name: 'accounts', display_name: 'Customer', description: expect.any(String) },
      { table_name: 'contacts', display_name: 'Contact', description: null },
    ]);
    expect(stored.startsWith(String((await tables())[0]!['description']))).toBe(true);
    expect(await column('accounts', 'name')).toEqual({
      ...{ display_name: 'Trading name', description: 'x'.repeat(1999) },
    });
    expect(await column('contacts', '_parentcustomerid_value')).toMatchObject({ display_name: 'Works for' });
    expect(await column('contacts', '_parentcustomerid_type')).toBeUndefined();

    // Nothing changed: the database stays as it is.
    const { database } = await org.sync();
    expect(database).toMatchObject({ stagedBlocks: 0 });

    // A new name is a change of the metadata, which the next run notices although no row changed.
    Object.assign(sampleColumn('account', 'name'), { displayName: 'Legal name', description: undefined });
    org.store.schemaChanged(org.store.table('account'));
    expect((await org.sync()).totals).toMatchObject({ updated: 0, failed: 0 });
    expect(await column('accounts', 'name')).toEqual({ display_name: 'Legal name', description: null });

    org.harness.entities = org.harness.entities.filter(({ name }) => name !== 'contact');
    await org.sync({ dropTables: ['contact'] });
    expect((await tables()).map((row) => row['table_name'])).toEqual(['accounts']);
    expect(await column('contacts', '_parentcustomerid_value')).toBeUndefined();
  });

  it('stay as they are while their definitions cannot be read', async () => {
    org = await Organisation.start(['account', 'contact']);
    Object.assign(sampleColumn('account', 'name'), { displayName: 'Trading name' });
    await org.sync();
    const fault = org.dataverse.faults.add({
      ...{ kind: 'error', status: 403, code: '0x80040220', message: 'No.' },
      match: /LogicalName='account'\).*Attributes/,
      times: 100,
    });
    org.store.schemaChanged(org.store.table('account'));
    await org.sync();
    expect(fault.hits).toBeGreaterThan(0);
    expect(await column('accounts', 'name')).toMatchObject({ display_name: 'Trading name' });
    fault.remove();
  });

  it('of one table concern the database of this table alone', async () => {
    org = await Organisation.start(['account', { name: 'lead', database: 'sales' }]);
    org.rows('account', 2);
    org.rows('lead', 2);
    await org.sync();
    const etags = async () => {
      const { state } = await org.harness.services.mirror.loadState();
      return [state.databases!['dataverse']!.etag, state.databases!['sales']!.etag];
    };
    const before = await etags();
    Object.assign(sampleColumn('account', 'name'), { displayName: 'Trading name' });
    org.store.schemaChanged(org.store.table('account'));
    await org.sync();
    expect(await column('accounts', 'name')).toMatchObject({ display_name: 'Trading name' });
    const after = await etags();
    expect(after[0]).not.toBe(before[0]);
    expect(after[1]).toBe(before[1]);
    await org.expectIdle();

    org.store.update('lead', [...org.store.truth('lead').keys()][0]!, { subject: 'Changed' });
    Object.assign(sampleColumn('lead', 'subject'), { displayName: 'Topic' });
    org.store.schemaChanged(org.store.table('lead'));
    await org.sync();
    expect((await etags())[0]).toBe(after[0]);
    expect((await etags())[1]).not.toBe(after[1]);
    await org.expectIdle();
  });
});
