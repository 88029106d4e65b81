import { afterEach, describe, expect, it } from 'vitest';
import { isLong, sampleOf } from '../../long.ts';
import { Organisation, reportOf } from '../organisation.ts';
import { addColumn, renameSet } from '../schema-drift.ts';

let org: Organisation;
afterEach(() => org.stop());

const count = async (table: string): Promise<unknown> =>
  (await org.query(`SELECT count(*) AS n FROM "${table}"`))[0]!['n'];

describe('names that mean something to SQLite or to the sync', () => {
  const reserved = ['rowid', 'oid', 'valid_from', 'valid_to', '_version', '_json', '_deleted_at'];

  it('of columns get a number, whatever the options', async () => {
    const options = { history: true, rawJson: true, deletes: 'mark' };
    org = await Organisation.start(
      [
        { name: 'account', ...options },
        { name: 'new_shipmentline', columns: { include: reserved } },
      ],
      {},
      { DATAVERSE_PAGE_SIZE: '2' },
    );
    for (const name of ['account', 'new_shipmentline']) {
      for (const column of reserved) addColumn(org.store, name, column, 'text', () => null);
      org.rows(name, 5, (n) => Object.fromEntries(reserved.map((column) => [column, `${column} ${n}`])));
    }
    const fault = org.dataverse.faults.add({ kind: 'repeat-row', match: /accounts\?.*skiptoken/ });
    await org.sync();
    expect(fault.hits).toBe(1);
    const columns = reserved.map((name) => `${name}_2`).join(', ');
    for (const set of ['accounts', 'accounts_history', 'new_shipmentlineset']) {
      const rows = await org.query(`SELECT ${columns} FROM ${set} ORDER BY rowid_2`);
      expect(rows).toHaveLength(5);
      expect(Object.values(rows[3]!)).toEqual(reserved.map((column) => `${column} 3`));
    }
    expect(
      await org.query("SELECT json_extract(_json, '$.rowid') AS n FROM accounts ORDER BY 1"),
    ).toHaveLength(5);
    await org.expectIdle();
  });

  it('of entity sets lead to another table name, which the schema report tells', async () => {
    org = await Organisation.start([
      'lead',
      'task',
      { name: 'account', history: true },
      'contact',
      'new_box',
    ]);
    for (const name of ['lead', 'task', 'account', 'contact', 'new_box']) org.rows(name, 3);
    renameSet(org.store, 'lead', 'sqlite_leads');
    renameSet(org.store, 'task', 'accounts_History');
    renameSet(org.store, 'contact', 'ACCOUNTS');
    renameSet(org.store, 'new_box', '_sync_state');
    const status = await org.sync();
    expect(status.totals.failed).toBe(0);
    for (const name of [
      '_sqlite_leads',
      'accounts_History_2',
      'ACCOUNTS_2',
      '__sync_state',
      'accounts_history',
    ]) {
      expect(await count(name)).toBe(3);
    }
    expect(await count('accounts')).toBe(3);
    const report = await org.harness.services.published.read<{ findings: { kind: string; what: string }[] }>(
      'schema-report.json',
    );
    const told = report!.value.findings.filter(({ kind }) => kind === 'other-name').map(({ what }) => what);
    expect(told.join()).toContain('sqlite_leads is stored as the table _sqlite_leads');
    expect(told).toHaveLength(4);
    org.store.create('contact', {});
    expect(reportOf(await org.sync(), 'contact')).toMatchObject({ table: 'ACCOUNTS_2', added: 1 });
    await org.expectIdle();
  });

  it('keep a table its name, and a history that would take it is rejected by name', async () => {
    org = await Organisation.start(['account', 'task', 'lead']);
    for (const name of ['account', 'task', 'lead']) org.rows(name, 3);
    renameSet(org.store, 'task', 'accounts_history');
    await org.sync();
    org.harness.configure([{ name: 'account', history: true }, 'task', 'lead']);
    org.store.create('lead', {});
    const report = reportOf(await org.sync(), 'account');
    expect(report).toMatchObject({ state: 'failed', requests: 0 });
    expect(report.error).toMatch(/account cannot have a history.*accounts_history.*task/);
    expect(await count('leads')).toBe(4);
    org.harness.configure([{ name: 'account', history: true }, 'lead']);
    await org.sync({ dropTables: ['task'] });
    org.store.create('account', {});
    await org.sync();
    expect(await count('accounts_history')).toBe(4);
    await org.expectSound();
    await org.expectIdle();
  });

  /** Names of what the sync makes for the table `accounts`, and its own, in several spellings. */
  const taken = [
    ...[
      '_choices',
      '_files',
      '_sync_meta',
      '_SYNC_LOG',
      'sqlite_master',
      'SQLITE_stat1',
      'sqlite_autoindex_x_1',
    ],
    ...['ACCOUNTS', 'accounts_labelled', 'Accounts_Labelled', 'accounts_choice_values'],
    ...[
      'accounts_history',
      'accounts_history_labelled',
      '_accounts',
      'temp',
      'main',
      'shard',
      'rows',
      '__proto__',
    ],
  ];

  it.each(sampleOf(taken, 11))(
    'let the set %s take nothing from another table, on a new mirror or on one that exists',
    async (set) => {
      const configs = [{ name: 'account', history: true, rawJson: true, files: true }, 'contact', 'task'];
      /** The view of accounts must read accounts. */
      const views = () =>
        org.query(
          `SELECT name, sql LIKE '%FROM "accounts" AS t' AS ok FROM sqlite_master WHERE type = 'view' AND name LIKE 'accounts_labelled'`,
        );
      // Names take turns; the long form tries each both ways.
      for (const exists of isLong ? [false, true] : [taken.indexOf(set) % 2 === 0]) {
        org = await Organisation.start(exists ? configs : configs.slice(0, 1));
        for (const name of ['account', 'contact', 'task']) org.rows(name, 3);
        // The other table that gets a name like this one.
        renameSet(org.store, 'task', `${set}_2`);
        if (!exists) {
          await org.sync();
        }
        renameSet(org.store, 'contact', set);
        if (!exists) org.harness.configure(configs);
        const status = await org.sync();
        expect(status.entities.flatMap(({ error }) => error ?? [])).toEqual([]);
        const stored = reportOf(status, 'contact').table ?? set;
        for (const table of ['accounts', 'accounts_history', stored])
          expect(await count(table), table).toBe(3);
        expect(await views()).toEqual([{ name: 'accounts_labelled', ok: 1 }]);
        const labelled = await org.query(`SELECT * FROM "accounts_labelled"`);
        expect(Object.keys(labelled[0]!)).toContain('accountid');
        expect(await count(`${stored}_labelled`)).toBe(3);
        for (const own of ['_choices', '_sync_meta'])
          expect(Number(await count(own))).toBeGreaterThanOrEqual(0);
        org.store.create('contact', {});
        org.store.create('account', {});
        expect(reportOf(await org.sync(), 'contact')).toMatchObject({ state: 'merged', added: 1 });
        await org.expectIdle();
        if (isLong && !exists) await org.stop();
      }
    },
  );

  it('let a table that is mirrored already and gets a view’s name later keep the other’s view', async () => {
    org = await Organisation.start(['contact', 'account']);
    org.rows('account', 3);
    org.rows('contact', 3);
    await org.sync();
    // A renamed entity set is a new table.
    renameSet(org.store, 'contact', 'accounts_labelled');
    expect(await org.sync()).toMatchObject({ totals: { failed: 0 } });
    const stored = await org.query(
      "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') AND name LIKE 'accounts_labelled%' ORDER BY 2",
    );
    expect(stored).toEqual([
      { type: 'view', name: 'accounts_labelled' },
      { type: 'table', name: 'accounts_labelled_2' },
      { type: 'view', name: 'accounts_labelled_2_labelled' },
    ]);
    await org.expectIdle();
  });
});
