import { afterEach, describe, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';
import { addColumn, dropColumn, dropTable } from '../schema-drift.ts';

let org: Organisation;
afterEach(() => org.stop());
const account = (id: string) => ({ id, table: 'account' });
const contact = (id: string) => ({ id, table: 'contact' });

const filtered = (name: string, options: object = {}) => ({ name, filtered: true, ...options });

describe('filtered tables', () => {
  it('have the rows that others refer to, through chains, loops and lookups with several targets', async () => {
    org = await Organisation.start(['lead', filtered('contact'), filtered('account')]);
    const [top, middle, low, stray] = org.rows('account', 4) as [string, string, string, string];
    org.store.update('account', low, { _parentaccountid_value: account(middle) });
    org.store.update('account', middle, { _parentaccountid_value: account(top) });
    org.store.update('account', top, { _parentaccountid_value: account(low) });
    const [person, boss, other] = org.rows('contact', 3) as [string, string, string];
    org.store.update('contact', person, { _parentcustomerid_value: contact(boss) });
    org.store.update('contact', boss, { _parentcustomerid_value: account(low) });
    org.rows('lead', 1, () => ({ _customerid_value: contact(person) }));
    const status = await org.sync();
    expect(await org.ids('contact')).toEqual([person, boss].sort());
    expect(await org.ids('account')).toEqual([top, middle, low].sort());
    // The second round reads person, then boss, and its merge reads low, then middle and top.
    expect(status.rounds).toBe(2);
    expect([stray, other].length).toBe(2);
    await org.expectIdle();
  });

  it('update a related row that changed, and remove one that nothing refers to', async () => {
    org = await Organisation.start(['lead', filtered('account', { history: true })]);
    const [one, two] = org.rows('account', 2, (n) => ({ name: `account ${n}` })) as [string, string];
    const [lead] = org.rows('lead', 1, () => ({ _customerid_value: account(one) })) as [string];
    await org.sync();
    org.store.update('account', one, { name: 'renamed' });
    await org.sync();
    expect(await org.query('SELECT name FROM accounts')).toEqual([{ name: 'renamed' }]);
    org.store.update('lead', lead, { _customerid_value: account(two) });
    await org.sync();
    expect(await org.ids('account')).toEqual([two]);
    // Its last version is closed.
    expect(
      await org.query(
        `SELECT count(*) AS n FROM accounts_history WHERE accountid = '${one}' AND valid_to IS NULL`,
      ),
    ).toEqual([{ n: 0 }]);
    expect(await org.query('SELECT id FROM _sync_deleted')).toEqual([{ id: one }]);
    await org.expectIdle();
    // Once something refers to it again it is back, without a tombstone.
    org.store.update('lead', lead, { _customerid_value: account(one) });
    await org.sync();
    expect(await org.query('SELECT id FROM _sync_deleted')).toEqual([{ id: two }]);
  });

  it('lose no more rows than the limit in one run, report it, and lose them once that is allowed', async () => {
    const accounts = filtered('account', { massDeleteLimit: 0.1, history: true });
    org = await Organisation.start([accounts, 'lead']);
    const ids = org.rows('account', 40);
    org.rows('lead', 40, (n) => ({ _customerid_value: account(ids[n]!) }));
    await org.sync();
    org.harness.configure([accounts, { name: 'lead', columns: { exclude: ['customerid'] } }]);
    for (let run = 0; run < 2; run++) {
      const report = reportOf(await org.sync(), 'account');
      expect(report).toMatchObject({ deleted: 0, unchanged: 40 });
      expect(report.error).toMatch(/40 rows/);
      expect(report.hint).toContain('"allowMassDelete": ["account"]');
      expect(await org.ids('account')).toHaveLength(40);
    }
    expect(reportOf(await org.sync({ allowMassDelete: ['account'] }), 'account').deleted).toBe(40);
    expect(await org.ids('account')).toEqual([]);
    expect(await org.query('SELECT count(*) AS n FROM _sync_deleted')).toEqual([{ n: 40 }]);
    expect(await org.query('SELECT count(*) AS n FROM accounts_history WHERE valid_to IS NULL')).toEqual([
      { n: 0 },
    ]);
    await org.expectIdle();
  });

  it('count the deletes of all rounds of a run against the limit', async () => {
    org = await Organisation.start([filtered('account'), 'lead']);
    const ids = org.rows('account', 30);
    const leads = org.rows('lead', 30, (n) => ({ _customerid_value: account(ids[n]!) }));
    await org.sync();
    // 10 rows are gone from Dataverse, and nothing refers to 10 others: together more than half of 30.
    for (const id of ids.slice(0, 10)) org.store.delete('account', id);
    for (const lead of leads.slice(10, 20)) org.store.update('lead', lead, { _customerid_value: null });
    const report = reportOf(await org.sync(), 'account');
    expect(report).toMatchObject({ deleted: 10 });
    expect(report.error).toMatch(/10 rows/);
    expect(await org.ids('account')).toEqual(ids.slice(10).sort());
  });

  it('keep their rows when they become filtered, until a mass delete is allowed', async () => {
    org = await Organisation.start(['account', 'lead']);
    const ids = org.rows('account', 30);
    org.rows('lead', 3, (n) => ({ _customerid_value: account(ids[n]!) }));
    await org.sync();
    org.harness.configure([filtered('account'), 'lead']);
    expect(reportOf(await org.sync(), 'account').error).toMatch(/27 rows/);
    expect(await org.ids('account')).toHaveLength(30);
    await org.sync({ allowMassDelete: ['account'] });
    expect(await org.ids('account')).toEqual(ids.slice(0, 3).sort());
    await org.expectIdle();
  });

  it.each(['remove', 'mark'] as const)('lose a row that was deleted in Dataverse (%s)', async (deletes) => {
    org = await Organisation.start(['new_ledgerentry', filtered('account', { deletes })]);
    const [gone, kept] = org.rows('account', 2) as [string, string];
    org.rows('new_ledgerentry', 2, (n) => ({ _new_account_value: account(n === 0 ? gone : kept) }));
    await org.sync();
    org.store.delete('account', gone);
    await org.sync();
    const live = deletes === 'mark' ? ' WHERE _deleted_at IS NULL' : '';
    expect(await org.query(`SELECT accountid AS id FROM accounts${live}`)).toEqual([{ id: kept }]);
    expect(await org.ids('account')).toEqual(deletes === 'mark' ? [gone, kept].sort() : [kept]);
    expect(await org.query('SELECT id FROM _sync_deleted')).toEqual([{ id: gone }]);
    await org.expectIdle();
    expect(await org.ids('account')).toHaveLength(deletes === 'mark' ? 2 : 1);
  });

  it('get the values of a new column for rows that did not change', async () => {
    org = await Organisation.start(['lead', filtered('account')]);
    const [one] = org.rows('account', 1) as [string];
    org.rows('lead', 1, () => ({ _customerid_value: account(one) }));
    await org.sync();
    addColumn(org.store, 'account', 'new_rating', 'int', () => 7);
    await org.sync();
    expect(await org.query('SELECT new_rating FROM accounts')).toEqual([{ new_rating: 7 }]);
    await org.expectIdle();
  });

  it('show changes of a table without versionnumber', async () => {
    org = await Organisation.start(['lead', filtered('account')]);
    dropColumn(org.store, 'account', 'versionnumber');
    const [one] = org.rows('account', 1, () => ({ name: 'old' })) as [string];
    org.rows('lead', 1, () => ({ _customerid_value: account(one) }));
    await org.sync();
    await org.expectIdle();
    org.store.update('account', one, { name: 'new' });
    await org.sync();
    expect(await org.query('SELECT name FROM accounts')).toEqual([{ name: 'new' }]);
  });

  it('are completed by the next run if fetching them failed, although nothing changed', async () => {
    org = await Organisation.start(['lead', filtered('account')]);
    const [one] = org.rows('account', 1) as [string];
    org.rows('lead', 1, () => ({ _customerid_value: account(one) }));
    const fault = org.dataverse.faults.add({ kind: '503', match: /\/accounts\?/, times: 1000 });
    const first = await org.sync();
    expect(reportOf(first, 'account')).toMatchObject({ state: 'failed' });
    expect(await org.ids('lead')).toHaveLength(1);
    fault.remove();
    await org.sync();
    await org.expectMirror('lead', 'account');
    await org.expectIdle();
  });

  it('keep rows as long as a table that may refer to them was not read, in all rounds of the run', async () => {
    org = await Organisation.start(['lead', 'contact', filtered('account')]);
    const [one, two] = org.rows('account', 2) as [string, string];
    const [lead] = org.rows('lead', 1, () => ({ _customerid_value: account(one) })) as [string];
    const [person] = org.rows('contact', 1) as [string];
    await org.sync();
    org.store.update('lead', lead, { _customerid_value: account(two) });
    org.store.update('contact', person, { _parentcustomerid_value: account(one) });
    const fault = org.dataverse.faults.add({ kind: '503', match: /\/contacts/, times: 1000 });
    const status = await org.sync();
    expect(reportOf(status, 'contact').state).toBe('failed');
    expect(status.rounds).toBe(2);
    expect(await org.ids('account')).toEqual([one, two].sort());
    // Otherwise the next run might find nothing to do, and keep a row that nothing refers to.
    expect((await org.harness.services.mirror.lastState())!.closureOpen).toBe(true);
    fault.remove();
    await org.sync();
    await org.expectMirror('lead', 'contact', 'account');
    expect(await org.query('SELECT id FROM _sync_deleted')).toEqual([]);
    await org.expectIdle();
  });

  it('lose rows although a table vanished from Dataverse, which keeps its rows', async () => {
    org = await Organisation.start(['lead', 'new_box', filtered('account')]);
    const [one, two] = org.rows('account', 2) as [string, string];
    const [lead] = org.rows('lead', 1, () => ({ _customerid_value: account(one) })) as [string];
    org.rows('new_box', 1);
    await org.sync();
    dropTable(org.store, 'new_box');
    org.store.update('lead', lead, { _customerid_value: account(two) });
    const status = await org.sync();
    expect(status.rounds).toBe(2);
    expect(await org.ids('account')).toEqual([two]);
  });

  it('request rows that do not exist once in a run, and do without them', async () => {
    org = await Organisation.start(['lead', filtered('account')]);
    org.rows('lead', 1, () => ({ _customerid_value: account('00000000-0000-4000-8000-00000000dead') }));
    expect((await org.sync()).rounds).toBe(2);
    expect(await org.ids('account')).toEqual([]);
    await org.expectIdle();
  });

  it('are not gone through in a run that leaves them as they were', async () => {
    org = await Organisation.start(['lead', filtered('account'), filtered('contact')]);
    const ids = org.rows('account', 5);
    org.rows('lead', 5, (n) => ({ _customerid_value: account(ids[n]!) }));
    await org.sync();
    const { mirror } = org.harness.services;
    const real = mirror.transaction.bind(mirror);
    const looked: string[] = [];
    mirror.transaction = (options, work) =>
      real(options, (transaction) => {
        const rowIds = transaction.rowIds.bind(transaction);
        const contentDigest = transaction.contentDigest.bind(transaction);
        transaction.rowIds = (table) => {
          looked.push(table.name);
          return rowIds(table);
        };
        transaction.contentDigest = (table, since) => {
          looked.push(table.name);
          return contentDigest(table, since);
        };
        return work(transaction);
      });
    org.rows('lead', 1, () => ({ _customerid_value: account(ids[0]!) }));
    await org.sync();
    expect(looked).not.toContain('accounts');
    expect(looked).not.toContain('contacts');
    org.rows('lead', 1, () => ({ _customerid_value: account(org.rows('account', 1)[0]!) }));
    await org.sync();
    expect(looked).toContain('accounts');
    expect(looked).not.toContain('contacts');
    await org.expectIdle();
  });

  it('request hundreds of ids at a time', async () => {
    org = await Organisation.start(['lead', filtered('account')]);
    const ids = org.rows('account', 1500);
    org.rows('lead', 1500, (n) => ({ _customerid_value: account(ids[n]!) }));
    const status = await org.sync();
    expect(await org.ids('account')).toHaveLength(1500);
    expect(reportOf(status, 'account').requests).toBeLessThanOrEqual(4);
    await org.expectIdle();
  });
});
