import { afterEach, describe, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';
import { addColumn, dropColumn, retypeColumn } from '../schema-drift.ts';

let org: Organisation;
afterEach(() => org.stop());
const columnsOf = async (set: string): Promise<string[]> =>
  (await org.query(`PRAGMA table_info(${set})`)).map((column) => String(column['name']));

describe('columns', () => {
  it('are the included ones and those that the sync needs', async () => {
    org = await Organisation.start([{ name: 'account', columns: { include: ['name', 'primarycontactid'] } }]);
    org.rows('account', 2, (n) => ({ name: `account ${n}`, revenue: '5' }));
    await org.sync();
    expect(await columnsOf('accounts')).toEqual([
      ...['accountid', '_primarycontactid_value', 'modifiedon', 'name', 'versionnumber'],
    ]);
    expect(await org.query('SELECT name FROM accounts ORDER BY name')).toEqual([
      { name: 'account 0' },
      { name: 'account 1' },
    ]);
    await org.expectIdle();
  });

  it('are all but the excluded ones, which are filled once they are included', async () => {
    const exclude = { name: 'account', columns: { exclude: ['revenue', 'name'] } };
    org = await Organisation.start([exclude]);
    org.rows('account', 1, () => ({ name: 'one', revenue: '5.0000' }));
    await org.sync();
    expect(await columnsOf('accounts')).not.toContain('revenue');
    org.harness.configure([{ name: 'account', columns: { exclude: ['name'] } }]);
    await org.sync();
    expect(await org.query('SELECT revenue FROM accounts')).toEqual([{ revenue: 5 }]);
    await org.expectIdle();
  });

  it('contain the record as it was sent with rawJson, also if it is turned on later', async () => {
    org = await Organisation.start(['account']);
    const [id] = org.rows('account', 1, () => ({ name: 'O’Hara', revenue: '5.0000' })) as [string];
    await org.sync();
    org.harness.configure([{ name: 'account', rawJson: true }]);
    await org.sync();
    const [row] = await org.query('SELECT _json FROM accounts');
    expect(JSON.parse(String(row!['_json']))).toMatchObject({ accountid: id, name: 'O’Hara' });
    expect(String(row!['_json'])).toContain('"revenue":5.0000');
    await org.expectIdle();
    org.store.update('account', id, { name: 'changed' });
    await org.sync();
    expect(await org.query("SELECT json_extract(_json, '$.name') AS name FROM accounts")).toEqual([
      { name: 'changed' },
    ]);
  });

  it('show changed rows of a table without versionnumber by their ETags', async () => {
    org = await Organisation.start(['lead'], {}, { SYNC_OVERLAP_SECONDS: '0' });
    dropColumn(org.store, 'lead', 'versionnumber');
    const [id] = org.rows('lead', 3) as [string];
    org.clock.now += 86_400_000;
    await org.sync();
    await org.expectIdle();
    org.store.update('lead', id, { subject: 'imported', modifiedon: '2020-01-01T00:00:00Z' });
    expect(reportOf(await org.sync(), 'lead').updated).toBe(1);
    await org.expectMirror('lead');
    await org.expectIdle();
  });

  it('change their type and are restored without losing a row or an earlier version', async () => {
    org = await Organisation.start([{ name: 'account', history: true }, 'lead']);
    const [id] = org.rows('account', 1, () => ({ accountnumber: '007', name: 'bond' })) as [string];
    org.rows('lead', 2);
    await org.sync();
    const then = new Date(org.clock.now).toISOString();
    retypeColumn(org.store, 'account', 'accountnumber', 'int', () => 7);
    dropColumn(org.store, 'account', 'name');
    await org.sync();
    expect(await org.query('SELECT accountnumber, name FROM accounts')).toEqual([
      { accountnumber: 7, name: 'bond' },
    ]);
    const history = (at: string): Promise<Record<string, unknown>[]> =>
      org.query(`SELECT accountnumber FROM accounts_history
        WHERE valid_from <= '${at}' AND (valid_to IS NULL OR valid_to > '${at}')`);
    expect(await history(then)).toEqual([{ accountnumber: '007' }]);
    expect(await history(new Date(org.clock.now).toISOString())).toEqual([{ accountnumber: 7 }]);
    await org.expectIdle();
    addColumn(org.store, 'account', 'name', 'text', () => 'moneypenny');
    await org.sync();
    await org.expectMirror('account', 'lead');
    await org.expectIdle();
    expect(
      await org.query(`SELECT DISTINCT change FROM _sync_schema_changes WHERE column_name = 'name'`),
    ).toEqual([{ change: 'removed-column' }, { change: 'restored-column' }]);
    expect(id).toBe((await org.ids('account'))[0]);
  });

  it.each([
    ['text', (n: number) => `value ${n}`],
    ['int', (n: number) => n],
  ])('are read again when they are back as %s, whatever the strategy', async (type, value) => {
    const lead = { name: 'lead', reconcileEvery: 0, history: true };
    org = await Organisation.start(['account', lead, { name: 'contact', strategy: 'full' }]);
    const columns = { account: 'name', lead: 'companyname', contact: 'jobtitle' };
    for (const [table, column] of Object.entries(columns)) org.rows(table, 3, () => ({ [column]: 'old' }));
    org.clock.now += 864_000_000;
    for (const table of Object.keys(columns)) org.rows(table, 1);
    await org.sync();
    for (const [table, column] of Object.entries(columns)) dropColumn(org.store, table, column);
    await org.sync();
    expect(await org.query(`SELECT name FROM accounts WHERE name = 'old'`)).toHaveLength(3);
    // No row gets a new version.
    let n = 0;
    for (const [table, column] of Object.entries(columns)) {
      addColumn(org.store, table, column, type, () => value(++n));
    }
    const status = await org.sync();
    for (const [table, column] of Object.entries(columns)) {
      expect(reportOf(status, table)).toMatchObject({
        updated: 4,
        reread: expect.stringContaining(`column ${column} `),
      });
    }
    await org.expectMirror(...Object.keys(columns));
    await org.expectSound();
    await org.expectIdle();
  });

  it('are read again after they were deleted and created with the same type between two syncs', async () => {
    const lead = { name: 'lead', reconcileEvery: 0 };
    org = await Organisation.start(['account', lead, { name: 'contact', filtered: true }]);
    const columns = { account: 'name', lead: 'companyname', contact: 'jobtitle' };
    const ids = org.rows('contact', 2, () => ({ jobtitle: 'old' }));
    org.rows('account', 2, (n) => ({
      name: 'old',
      _primarycontactid_value: { id: ids[n]!, table: 'contact' },
    }));
    org.rows('lead', 2, () => ({ companyname: 'old' }));
    await org.sync();
    await org.expectIdle();
    // Nothing else differs, and no row gets a new version.
    for (const [table, column] of Object.entries(columns))
      retypeColumn(org.store, table, column, 'text', () => null);
    const status = await org.sync();
    for (const [table, column] of Object.entries(columns)) {
      expect(reportOf(status, table)).toMatchObject({
        updated: 2,
        reread: `column ${column} was deleted and created again`,
      });
    }
    await org.expectMirror(...Object.keys(columns));
    await org.expectIdle();
  });

  it('that are selected and deleted in Dataverse do not stop their table', async () => {
    org = await Organisation.start([{ name: 'account', columns: { include: ['name', 'revenue'] } }, 'lead']);
    const [id] = org.rows('account', 1, () => ({ name: 'one' })) as [string];
    await org.sync();
    dropColumn(org.store, 'account', 'revenue');
    org.store.update('account', id, { name: 'two' });
    await org.sync();
    expect(await org.query('SELECT name FROM accounts')).toEqual([{ name: 'two' }]);
    await org.expectIdle();
  });
});
