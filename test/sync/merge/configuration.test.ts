import { afterEach, describe, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());
const account = (id: string) => ({ id, table: 'account' });
const contact = (id: string) => ({ id, table: 'contact' });

/** How often the schema of a table was changed. */
const changes = () => org.query('SELECT change, table_name AS name, detail FROM _sync_schema_changes');

describe('a changed entities.json', () => {
  it('a table that becomes filtered is as fresh as the others after one run', async () => {
    org = await Organisation.start(['account', 'lead']);
    const ids = org.rows('account', 18);
    org.rows('lead', 15, (n) => ({ _customerid_value: account(ids[n]!) }));
    await org.sync();
    org.harness.configure([{ name: 'account', filtered: true }, 'lead']);
    org.store.update('account', ids[0]!, { name: 'changed meanwhile' });
    org.store.delete('account', ids[1]!);
    await org.sync();
    expect(await org.ids('account')).toEqual([ids[0]!, ...ids.slice(2, 15)].sort());
    expect(await org.query("SELECT name FROM accounts WHERE name = 'changed meanwhile'")).toHaveLength(1);
    await org.expectIdle();
    org.harness.configure(['account', 'lead']);
    await org.sync();
    await org.expectMirror('account', 'lead');
    await org.expectIdle();
  });

  it('history starts in a run that brings nothing else, and continues after a pause', async () => {
    const config = (history: boolean) =>
      ['account', 'lead', 'new_shipmentline'].map((name) => ({ name, history }));
    org = await Organisation.start(config(false));
    const [kept, changed, deleted] = org.rows('account', 3, (n) => ({ name: `account ${n}` }));
    await org.sync();
    org.harness.configure(config(true));
    await org.sync();
    const versions = 'SELECT accountid AS id, name, valid_to IS NULL AS current FROM accounts_history';
    expect(await org.query(versions)).toHaveLength(3);
    await org.expectIdle();
    org.harness.configure(config(false));
    org.store.update('account', changed!, { name: 'changed in the pause' });
    org.store.delete('account', deleted!);
    await org.sync();
    expect(await org.query(versions)).toHaveLength(3);
    const [added] = org.rows('account', 1, () => ({ name: 'added in the pause' }));
    await org.sync();
    org.harness.configure(config(true));
    await org.sync();
    const expected = [
      { id: kept, name: 'account 0', current: 1 },
      { id: changed, name: 'account 1', current: 0 },
      { id: changed, name: 'changed in the pause', current: 1 },
      { id: deleted, name: 'account 2', current: 0 },
      { id: added, name: 'added in the pause', current: 1 },
    ];
    expect(new Set((await org.query(versions)).map((row) => JSON.stringify(row)))).toEqual(
      new Set(expected.map((row) => JSON.stringify(row))),
    );
    await org.expectSound();
    await org.expectIdle();
  });

  it('raw records go with the option, and are of today when it comes back', async () => {
    org = await Organisation.start([{ name: 'account', rawJson: true }]);
    const [id] = org.rows('account', 1, () => ({ name: 'old' })) as [string];
    await org.sync();
    org.harness.configure(['account']);
    org.store.update('account', id, { name: 'new' });
    await org.sync();
    const columns = await org.query("SELECT name FROM pragma_table_info('accounts')");
    expect(columns).not.toContainEqual({ name: '_json' });
    await org.expectIdle();
    org.harness.configure([{ name: 'account', rawJson: true }]);
    await org.sync();
    expect(await org.query("SELECT json_extract(_json, '$.name') AS name FROM accounts")).toEqual([
      { name: 'new' },
    ]);
    await org.expectIdle();
  });

  it('marks go with the option, and columns come back with their values', async () => {
    org = await Organisation.start([{ name: 'account', deletes: 'mark' }]);
    const [id, gone] = org.rows('account', 2, () => ({ name: 'old' })) as [string, string];
    await org.sync();
    org.store.delete('account', gone);
    await org.sync();
    org.harness.configure([{ name: 'account', columns: { exclude: ['name'] } }]);
    await org.sync();
    expect(await org.ids('account')).toEqual([id]);
    const columns = await org.query("SELECT name FROM pragma_table_info('accounts')");
    expect(columns).not.toContainEqual({ name: '_deleted_at' });
    await org.expectIdle();
    org.store.update('account', id, { name: 'new' });
    await org.sync();
    org.harness.configure(['account']);
    await org.sync();
    await org.expectMirror('account');
    await org.expectIdle();
  });
});

describe('a table that is removed from entities.json', () => {
  it('costs no rebuild of the tables that refer to it, and none when it comes back', async () => {
    org = await Organisation.start(['account', 'contact']);
    const people = org.rows('contact', 3);
    org.rows('account', 6, (n) => ({ _primarycontactid_value: contact(people[n % 3]!) }));
    await org.sync();
    const before = await changes();
    org.harness.configure(['account']);
    await org.sync();
    await org.expectIdle();
    await org.expectSound();
    org.store.update('contact', people[0]!, { lastname: 'changed meanwhile' });
    org.harness.configure(['account', 'contact']);
    await org.sync();
    await org.expectMirror('account', 'contact');
    await org.expectSound();
    expect(await changes()).toEqual(before);
    await org.expectIdle();
  });

  it('is not stale, feeds no filtered table, and has no dangling references', async () => {
    org = await Organisation.start(['lead', 'new_ledgerentry', { name: 'account', filtered: true }]);
    const [one, two] = org.rows('account', 2) as [string, string];
    org.rows('lead', 1, () => ({ _customerid_value: account(one) }));
    org.rows('new_ledgerentry', 1, () => ({ _new_account_value: account(two) }));
    await org.sync();
    org.harness.configure(['lead', { name: 'account', filtered: true }]);
    org.clock.now += 30 * 86_400_000;
    const status = await org.sync();
    expect(status.quality!.ageSeconds).toBeLessThan(3600);
    expect(status.quality!.rows).toBe(2);
    expect(await org.ids('account')).toEqual([one]);
    expect(status.danglingReferences).toBe(0);
    expect(await org.query('SELECT count(*) AS n FROM new_ledgerentries')).toEqual([{ n: 1 }]);
    await org.expectIdle();
  });

  it('is dropped on request with all that belongs to it, at the price of one rebuild', async () => {
    org = await Organisation.start([
      'account',
      { name: 'contact', history: true },
      { name: 'lead', filtered: true },
    ]);
    const people = org.rows('contact', 3);
    org.rows('account', 6, (n) => ({ _primarycontactid_value: contact(people[n % 3]!) }));
    await org.sync();
    // A configured table stays, whatever was requested.
    await org.sync({ dropTables: ['contact'] });
    expect(await org.ids('contact')).toHaveLength(3);
    org.harness.configure(['account']);
    await org.sync();
    const before = await changes();
    await org.sync({ dropTables: ['contact', 'lead'] });
    const names = (await org.query('SELECT name FROM sqlite_master')).map(({ name }) => String(name));
    expect(names.filter((name) => /contacts|leads/.test(name))).toEqual([]);
    for (const table of ['_sync_state', '_sync_foreign_keys', '_sync_deleted', '_choices']) {
      expect(await org.query(`SELECT * FROM ${table} WHERE table_name IN ('contacts', 'leads')`)).toEqual([]);
    }
    await org.expectSound();
    await org.expectIdle();
    expect((await changes()).slice(before.length).map(({ change, name }) => [change, name])).toEqual([
      ['dropped-table', 'contacts'],
      ['dropped-table', 'leads'],
      ['foreign-keys', 'accounts'],
    ]);
    org.harness.configure(['account', 'contact']);
    await org.sync();
    await org.expectMirror('account', 'contact');
    await org.expectSound();
    await org.expectIdle();
    expect(reportOf(await org.sync(), 'contact').rows).toBe(3);
  });
});
