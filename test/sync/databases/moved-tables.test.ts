import { afterEach, describe, expect, it } from 'vitest';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation, reportOf } from '../organisation.ts';
import { countOf, failCommit, killed, query, tablesOf } from './databases.ts';

let org: Organisation;
afterEach(() => org.stop());

const inSales = (name: string, options: object = {}) => ({ name, database: 'sales', ...options });
const account = (id: string) => ({ id, table: 'account' });

describe('a table that moves to another database', () => {
  it('is read anew there and dropped where it was, with the keys that referred to it', async () => {
    org = await Organisation.start(['account', 'contact', 'lead']);
    const [parent] = org.rows('account', 3) as [string];
    org.rows('contact', 4, () => ({ _parentcustomerid_value: account(parent) }));
    org.rows('lead', 2);
    await org.sync();
    org.harness.configure(['account', inSales('contact'), 'lead']);
    const status = await org.sync();
    expect(reportOf(status, 'contact')).toMatchObject({ added: 4, state: 'merged', rows: 4 });
    expect(status.totals).toMatchObject({ failed: 0 });
    expect(await tablesOf(org)).toEqual(['accounts', 'leads']);
    expect(await tablesOf(org, 'sales')).toEqual(['contacts']);
    expect(await countOf(org, 'sales', 'contacts')).toBe(4);
    await org.expectSound();
    const [change] = await query(
      org,
      undefined,
      "SELECT detail FROM _sync_schema_changes WHERE change = 'dropped-table'",
    );
    expect(change!['detail']).toContain('another database has it');
    // Tables that referred to it lose their keys in the next run at the latest; then nothing changes any more.
    await org.sync();
    const before = await org.harness.etags(undefined, 'sales');
    expect((await org.sync()).totals).toMatchObject({ added: 0, updated: 0, failed: 0 });
    expect(await org.harness.etags(undefined, 'sales')).toEqual(before);
    await org.expectSound();
  });

  it('stays where it was until it is read', async () => {
    org = await Organisation.start(['account', 'contact']);
    org.rows('contact', 4);
    await org.sync();
    org.harness.configure(['account', inSales('contact')]);
    org.dataverse.faults.add({ kind: '503', match: /\/contacts/, times: 1000 });
    await org.sync();
    expect(await countOf(org, undefined, 'contacts')).toBe(4);
    org.dataverse.faults.clear();
    await org.sync();
    expect(await countOf(org, 'sales', 'contacts')).toBe(4);
    expect(await tablesOf(org)).toEqual(['accounts']);
  });

  it.each([
    ['its new database', 'sales', false],
    ['its new database, and the answer is lost', 'sales', true],
    ['the old one', undefined, false],
    ['the old one, and the answer is lost', undefined, true],
  ] as const)('is never in none: the process dies in the commit of %s', async (_, database, after) => {
    org = await Organisation.start(['account', 'contact']);
    org.rows('account', 3);
    org.rows('contact', 4);
    await org.sync();
    org.harness.configure(['account', inSales('contact')]);
    org.clock.now += 60_000;
    const { runId } = await org.harness.start();
    let places: unknown[] = [];
    org.harness.onFailure = () => org.harness.restarted();
    failCommit(org, database, killed, { after });
    const deliver = async () => {
      await org.harness.deliver();
      const has = async (name?: string) =>
        (await org.harness.etags(name))[0] !== undefined && (await tablesOf(org, name)).includes('contacts');
      places = [await has(), await has('sales')];
      expect(places).toContain(true);
    };
    while (org.harness.waiting > 0) await deliver();
    expect((await runStatus(org.harness.services, runId))!.phase).toBe('complete');
    await org.sync();
    expect(await tablesOf(org)).toEqual(['accounts']);
    expect(await countOf(org, 'sales', 'contacts')).toBe(4);
    const before = await org.harness.etags(undefined, 'sales');
    expect((await org.sync()).totals).toMatchObject({ added: 0, updated: 0, failed: 0 });
    expect(await org.harness.etags(undefined, 'sales')).toEqual(before);
  });

  it('leaves its history behind, and goes on with it when it comes back', async () => {
    org = await Organisation.start(['account', { name: 'contact', history: true }]);
    const [id] = org.rows('contact', 1, () => ({ firstname: 'one' })) as [string];
    await org.sync();
    org.store.update('contact', id, { firstname: 'two' });
    await org.sync();
    org.harness.configure(['account', inSales('contact', { history: true })]);
    await org.sync();
    expect(await countOf(org, undefined, 'contacts_history')).toBe(2);
    expect(await countOf(org, 'sales', 'contacts_history')).toBe(1);
    org.store.update('contact', id, { firstname: 'three' });
    await org.sync();
    expect(await countOf(org, 'sales', 'contacts_history')).toBe(2);
    org.harness.configure(['account', { name: 'contact', history: true }]);
    await org.sync();
    expect(
      await query(
        org,
        undefined,
        'SELECT firstname, valid_to IS NULL AS now FROM contacts_history ORDER BY valid_from',
      ),
    ).toEqual([
      { firstname: 'one', now: 0 },
      { firstname: 'two', now: 0 },
      { firstname: 'three', now: 1 },
    ]);
  });

  it('can come back before it was dropped', async () => {
    org = await Organisation.start(['account', 'contact']);
    org.rows('contact', 4);
    await org.sync();
    org.harness.configure(['account', inSales('contact')]);
    org.clock.now += 60_000;
    // The old database cannot be written to.
    const file = org.harness.storage.databaseFile;
    const { commit } = file;
    file.commit = async function (...args) {
      if ((await org.harness.etags('sales'))[0] !== undefined) throw killed();
      return commit.apply(this, args);
    };
    await org.harness.start();
    await org.harness.drain();
    file.commit = commit;
    expect([await countOf(org, undefined, 'contacts'), await countOf(org, 'sales', 'contacts')]).toEqual([
      4, 4,
    ]);
    org.harness.configure(['account', 'contact']);
    const [created] = org.rows('contact', 1) as [string];
    expect(created).toBeDefined();
    await org.sync();
    expect(await countOf(org, undefined, 'contacts')).toBe(5);
    expect(await tablesOf(org, 'sales')).toEqual([]);
  });
});

describe('filtered tables', () => {
  it('have the rows that rows in other databases refer to, through chains that lead back', async () => {
    const filtered = (name: string, database?: string) => ({
      name,
      filtered: true,
      ...(database && { database }),
    });
    org = await Organisation.start(['lead', filtered('contact', 'sales'), filtered('account')]);
    const [top, middle, low, stray] = org.rows('account', 4) as [string, string, string, string];
    org.store.update('account', middle, { _parentaccountid_value: account(top) });
    const [person, boss, other] = org.rows('contact', 3) as [string, string, string];
    org.store.update('contact', person, { _parentcustomerid_value: { id: boss, table: 'contact' } });
    org.store.update('contact', boss, { _parentcustomerid_value: account(middle) });
    // From the default database to the other one and back again.
    org.store.update('account', top, { _primarycontactid_value: { id: other, table: 'contact' } });
    org.store.update('contact', other, { _parentcustomerid_value: account(low) });
    const [lead] = org.rows('lead', 1, () => ({ _customerid_value: { id: person, table: 'contact' } })) as [
      string,
    ];
    await org.sync();
    const ids = async (database: string | undefined, sql: string) =>
      (await query(org, database, sql)).map(({ id }) => id);
    const accounts = () => ids(undefined, 'SELECT accountid AS id FROM accounts ORDER BY 1');
    const contacts = () => ids('sales', 'SELECT contactid AS id FROM contacts ORDER BY 1');
    expect(await contacts()).toEqual([person, boss, other].sort());
    expect(await accounts()).toEqual([top, middle, low].sort());
    let before = await org.harness.etags(undefined, 'sales');
    await org.sync();
    expect(await org.harness.etags(undefined, 'sales')).toEqual(before);
    // A change of the lead takes rows of both databases away, and a stray one in.
    org.store.update('lead', lead, { _customerid_value: account(stray) });
    await org.sync();
    expect([await contacts(), await accounts()]).toEqual([[], [stray]]);
    org.store.update('lead', lead, { _customerid_value: { id: other, table: 'contact' } });
    await org.sync();
    expect([await contacts(), await accounts()]).toEqual([[other], [low]]);
    before = await org.harness.etags(undefined, 'sales');
    await org.sync();
    expect(await org.harness.etags(undefined, 'sales')).toEqual(before);
  });

  it('are completed after one of the databases was replaced by an earlier state', async () => {
    org = await Organisation.start(['account', { name: 'contact', database: 'sales', filtered: true }]);
    const [person, other] = org.rows('contact', 2) as [string, string];
    const [one] = org.rows('account', 1, () => ({
      _primarycontactid_value: { id: person, table: 'contact' },
    })) as [string];
    await org.sync();
    const earlier = await org.harness.databaseBytes('sales');
    org.store.update('account', one, { _primarycontactid_value: { id: other, table: 'contact' } });
    await org.sync();
    await org.harness.services.published.putBytes('sales.db', earlier);
    // Nothing has changed in Dataverse since.
    await org.sync();
    expect(await query(org, 'sales', 'SELECT contactid AS id FROM contacts')).toEqual([{ id: other }]);
  });

  it('move to another database with all rows', async () => {
    const contact = { name: 'contact', filtered: true };
    org = await Organisation.start(['account', contact]);
    const people = org.rows('contact', 5);
    org.rows('account', 4, (n) => ({ _primarycontactid_value: { id: people[n]!, table: 'contact' } }));
    await org.sync();
    org.harness.configure(['account', { ...contact, database: 'sales' }]);
    await org.sync();
    expect(await countOf(org, 'sales', 'contacts')).toBe(4);
    expect(await tablesOf(org)).toEqual(['accounts']);
  });
});
