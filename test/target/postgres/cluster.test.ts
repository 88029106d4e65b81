import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { paths } from '../../../src/sync/documents/paths.ts';
import type { CheckOptions } from '../../../src/target/mirror-check.ts';
import type { TransactionOptions } from '../../../src/target/mirror-target.ts';
import { createCluster } from '../../citus.ts';
import { startPostgres, withClient } from '../../postgres.ts';
import { startPostgresProxy } from '../../postgres-proxy.ts';
import { Organisation, reportOf } from '../../sync/organisation.ts';
import { addColumn, retypeColumn } from '../../sync/schema-drift.ts';

let address: string;
let org: Organisation;
afterEach(() => org.stop());

async function start(entities: unknown[], database = createCluster()): Promise<void> {
  address = await database;
  org = await Organisation.start(entities, {}, {}, undefined, address, 5);
}

const query = <T>(sql: string): Promise<T[]> =>
  withClient(address, async (client) => (await client.query(sql)).rows as T[]);

/** Where tables are. Those of one server alone are not among them. */
async function placements(): Promise<Record<string, string>> {
  const rows = await query<{ name: string; placement: string }>(
    `SELECT c.relname AS name, CASE p.partmethod WHEN 'h' THEN 'distributed' ELSE 'reference' END AS placement
     FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid ORDER BY 1`,
  );
  return Object.fromEntries(rows.map(({ name, placement }) => [name, placement]));
}

const count = async (table: string): Promise<number> =>
  (await query<{ n: number }>(`SELECT count(*)::integer AS n FROM mirror."${table}"`))[0]!.n;

describe('on a cluster', () => {
  it('large tables are distributed with their history, and the others and labels are on every node', async () => {
    await start([
      { name: 'account', history: true },
      { name: 'contact', history: true },
    ]);
    const ids = org.rows('account', 6, (n) => ({ name: `account ${n}` }));
    org.rows('contact', 2);
    await org.sync();
    const placed = {
      _choices: 'reference',
      accounts: 'distributed',
      accounts_history: 'distributed',
      contacts: 'reference',
      contacts_history: 'reference',
    };
    expect(await placements()).toEqual(placed);
    await query(
      `DO $$ BEGIN CREATE ROLE cluster_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
       GRANT SELECT ON mirror.contacts, mirror.contacts_labelled TO cluster_reader`,
    );
    // A table that grows is distributed after the run; one that shrinks stays so.
    org.rows('contact', 3);
    for (const id of ids.slice(2)) org.store.delete('account', id);
    await org.sync({ allowMassDelete: ['account'] });
    expect(await placements()).toEqual({
      ...placed,
      contacts: 'distributed',
      contacts_history: 'distributed',
    });
    await org.expectMirror('account', 'contact');
    const [comment] = await query(`SELECT obj_description('mirror.contacts'::regclass) AS text`);
    expect(comment).toEqual({ text: expect.stringContaining('Contact') });
    const [access] = await query(
      `SELECT has_table_privilege('cluster_reader', 'mirror.contacts', 'SELECT') AS rows,
         has_table_privilege('cluster_reader', 'mirror.contacts_labelled', 'SELECT') AS labelled`,
    );
    expect(access).toEqual({ rows: true, labelled: true });
    expect([await count('accounts_history'), await count('contacts_history')]).toEqual([6, 5]);
    await org.expectIdle();
  });

  it('a history that begins later is where its table is', async () => {
    await start(['account']);
    org.rows('account', 6);
    await org.sync();
    org.harness.configure([{ name: 'account', history: true }]);
    await org.sync();
    expect(await placements()).toMatchObject({ accounts: 'distributed', accounts_history: 'distributed' });
    expect(await count('accounts_history')).toBe(6);
  });

  it('a table that was distributed by hand gets its history beside it', async () => {
    await start([{ name: 'account', history: true }]);
    const { mirror } = org.harness.services;
    const arrange = vi.spyOn(mirror, 'arrange').mockResolvedValue();
    org.harness.stages = () => false;
    const ids = org.rows('account', 8, (n) => ({ name: `account ${n}` }));
    await org.sync();
    await query(`SELECT create_distributed_table('mirror.accounts', 'accountid')`);
    expect(await placements()).toEqual({ accounts: 'distributed' });
    org.store.update('account', ids[0]!, { name: 'new' });
    org.store.delete('account', ids[1]!);
    arrange.mockRestore();
    await org.sync();
    const placed = { _choices: 'reference', accounts: 'distributed', accounts_history: 'distributed' };
    expect(await placements()).toEqual(placed);
    expect(await count('accounts_history')).toBe(9);
    await org.expectMirror('account');
    addColumn(org.store, 'account', 'new_code', 'int', () => 7);
    await org.sync();
    expect(await count('accounts_history')).toBe(16);
    await org.expectMirror('account');
    await org.expectIdle();
  });

  it('a large table whose first rows are loaded ahead is distributed while it is empty', async () => {
    await start(['account']);
    org.harness.stages = () => true;
    org.rows('account', 6);
    const { mirror } = org.harness.services;
    mirror.arrange = () => Promise.resolve();
    await org.sync();
    expect(await placements()).toEqual({ _choices: 'reference', accounts: 'distributed' });
    await org.expectMirror('account');
  });

  it('a table that cannot be distributed is merged all the same, and the log says why', async () => {
    const cluster = await createCluster();
    await withClient(cluster, (client) =>
      client.query('ALTER FUNCTION create_distributed_table RENAME TO no_longer'),
    );
    await start(['account'], Promise.resolve(cluster));
    org.harness.stages = () => true;
    org.rows('account', 6);
    await org.sync();
    await org.expectMirror('account');
    expect(await placements()).toEqual({});
    expect(org.harness.log.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/^Tables are not where POSTGRES_DISTRIBUTE says/),
    );
  });

  it('tables are moved after the run is released, so that a long move holds up no other', async () => {
    await start(['account']);
    const { mirror, work } = org.harness.services;
    const arrange = vi.spyOn(mirror, 'arrange').mockImplementation(async () => {
      expect(await work.read(paths.active)).toBeUndefined();
    });
    await org.sync();
    expect(arrange).toHaveBeenCalledTimes(1);
    expect(org.harness.log.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  it('a table keeps its rows through changes of its schema, also of its key', async () => {
    await start([{ name: 'account', history: true }]);
    org.rows('account', 6, (n) => ({ name: `account ${n}` }));
    await org.sync();
    addColumn(org.store, 'account', 'new_code', 'int', () => 7);
    await org.sync();
    retypeColumn(org.store, 'account', 'new_code', 'text', () => 'seven');
    await org.sync();
    await org.expectMirror('account');
    // Somebody gave the key another type, which the sync corrects: the key says on which node a row is.
    await query(`SELECT undistribute_table('mirror.accounts')`);
    await query('DROP VIEW mirror.accounts_labelled, mirror.accounts_choice_values');
    await query('ALTER TABLE mirror.accounts ALTER COLUMN accountid TYPE text');
    await query(`SELECT create_distributed_table('mirror.accounts', 'accountid')`);
    org.store.update('account', org.rows('account', 1)[0]!, { name: 'new' });
    await org.sync();
    await org.expectMirror('account');
    expect(await placements()).toMatchObject({ accounts: 'distributed', accounts_history: 'distributed' });
  });

  it('texts of values are those of one time zone, whichever node makes them', async () => {
    const zone = (
      await createCluster().then((made) => {
        address = made;
        return query<{ name: string }>('SELECT current_database() AS name');
      })
    )[0]!.name;
    await query(`ALTER ROLE CURRENT_USER IN DATABASE ${zone} SET timezone = 'Asia/Tokyo'`);
    await start([{ name: 'account', history: true }], Promise.resolve(address));
    org.rows('account', 12);
    addColumn(org.store, 'account', 'new_met', 'datetime', () => '2026-03-01T20:00:00Z');
    await org.sync();
    retypeColumn(org.store, 'account', 'new_met', 'text', () => 'never');
    await org.sync();
    const found = await query(
      'SELECT DISTINCT new_met FROM mirror.accounts_history WHERE valid_to IS NOT NULL',
    );
    expect(found).toEqual([{ new_met: '2026-03-01 20:00:00+00' }]);
  });

  it('an export waits for a commit that has not reached every node; others do not', async () => {
    await start(['account']);
    org.rows('account', 6);
    await org.sync();
    const { mirror } = org.harness.services;
    await withClient(address, async (writer) => {
      await writer.query('BEGIN');
      // As a merge does before it commits.
      await writer.query('LOCK TABLE mirror._sync_meta IN SHARE ROW EXCLUSIVE MODE');
      let isTold = false;
      const news = mirror.newsSince({}).finally(() => {
        isTold = true;
      });
      await mirror.loadState();
      expect(isTold).toBe(false);
      await writer.query('COMMIT');
      expect((await news)!.tables).toHaveLength(1);
    });
  });

  it.skipIf(process.env['TEST_CITUS'])('a merge waits for a node that missed the last commit', async () => {
    await start(['account']);
    org.rows('account', 6);
    await org.sync();
    await query(`INSERT INTO pg_dist_transaction VALUES (2, 'citus_0_1_1_0')`);
    const { mirror } = org.harness.services;
    const answers = (...given: string[]) =>
      query(`INSERT INTO answers (success, result) VALUES ${given.join()}`);
    const left = () => query('SELECT result FROM answers');
    await answers(`(true, '["citus_0_1_1_0"]')`, `(true, '["citus_0_9_9_0"]')`);
    await mirror.newsSince({});
    expect(await left()).toEqual([]);
    await answers(`(false, 'connection refused')`);
    const loaded = await mirror.loadState();
    const merged = mirror.transaction({ loaded } as TransactionOptions, () => Promise.resolve());
    await expect(merged).rejects.toThrow('The node other of the cluster has not completed the last commit.');
    // The answer was given in a transaction that is rolled back.
    await query('DELETE FROM answers');
    await answers(`(true, '["citus_0_1_1_0"]')`);
    org.rows('account', 1);
    await org.sync();
    expect(await left()).toEqual([]);
    await org.expectMirror('account');
  });

  it('whoever reads one state waits for a table that moves, and finds its rows', async () => {
    await start(['account', 'contact']);
    org.rows('account', 6);
    org.rows('contact', 3);
    await org.sync();
    const { mirror } = org.harness.services;
    const { state } = await mirror.loadState();
    const request = { rows: { all: { upTo: 0 } }, maxRows: 10 };
    await withClient(address, async (mover) => {
      await mover.query('BEGIN');
      // As where a table is moved.
      await mover.query('LOCK TABLE mirror._sync_deleted IN EXCLUSIVE MODE');
      for (const name of ['accounts', 'contacts'])
        await mover.query(`SELECT undistribute_table('mirror.${name}')`);
      const read = [
        ...['account', 'contact'].map(async (name) => {
          const page = await mirror.readRows!({ ...request, table: state.entities[name]!.table });
          return page!.rows.length;
        }),
        mirror.checkStep(undefined, { isTimeOver: () => false } as CheckOptions).then(({ result }) => result),
      ];
      let hasRead = false;
      void Promise.race(read).then(() => {
        hasRead = true;
      });
      await mirror.loadState();
      expect(hasRead).toBe(false);
      await mover.query('COMMIT');
      expect(await Promise.all(read)).toMatchObject([6, 3, { miscounted: [] }]);
    });
  });

  it('a connection that is lost while tables are moved leaves each where it was, or where it belongs', async () => {
    const proxy = await startPostgresProxy(await createCluster());
    await start(['account', 'contact', 'lead'], Promise.resolve(proxy.address));
    org.harness.stages = () => false;
    org.rows('account', 6);
    org.rows('contact', 1);
    let cuts = 0;
    proxy.onStatement = (sql) => {
      if (!/create_(?:distributed|reference)_table/.test(sql) || cuts === 4) return undefined;
      cuts += 1;
      return cuts % 2 === 0 ? 'before' : 'after';
    };
    await org.sync();
    expect(cuts).toBeGreaterThan(0);
    cuts = 4;
    expect(org.harness.log.some(({ message }) => message.startsWith('Tables are not where'))).toBe(true);
    await org.expectMirror('account', 'contact');
    await org.expectIdle();
    expect(await placements()).toMatchObject({
      accounts: 'distributed',
      contacts: 'reference',
      leads: 'reference',
    });
    await org.expectMirror('account', 'contact');
    await proxy.stop();
  });

  it('what a long move leaves behind is left to the next run', async () => {
    const proxy = await startPostgresProxy(await createCluster());
    await start(['account', 'contact'], Promise.resolve(proxy.address));
    org.harness.stages = () => false;
    org.rows('account', 6);
    const now = Date.now.bind(Date);
    let isLong = true;
    let seconds = 0;
    let leftovers = 0;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + seconds * 1000);
    proxy.onStatement = (sql) => {
      if (isLong && sql.includes('create_distributed_table')) seconds = 400;
      if (sql.includes('truncate_local_data_after_distributing_table')) leftovers += 1;
      return undefined;
    };
    try {
      await org.sync();
      expect(leftovers).toBe(0);
      isLong = false;
      await org.sync();
      expect(leftovers).toBeGreaterThan(0);
    } finally {
      clock.mockRestore();
    }
    await org.expectMirror('account');
    await proxy.stop();
  });

  it('a mirror moves there, and back into a file', async () => {
    await start([{ name: 'account', history: true }, 'contact']);
    org.rows('account', 6);
    org.rows('contact', 2);
    await org.sync();
    await org.harness.move(undefined);
    await org.expectMirror('account', 'contact');
    await org.sync();
    const other = await createCluster();
    await org.harness.move(other);
    address = other;
    expect(await placements()).toEqual({});
    await org.sync();
    expect(await placements()).toMatchObject({ accounts_history: 'distributed', contacts: 'reference' });
    await org.expectMirror('account', 'contact');
  });

  it('views have labels, and names of rows that every node has', async () => {
    await start(['account', 'contact', 'lead']);
    const [contact] = org.rows('contact', 1, () => ({ fullname: 'Ada Lovelace' }));
    const account = {
      _primarycontactid_value: { id: contact!, table: 'contact' },
      new_regions: '100000001,100000000',
    };
    const [parent] = org.rows('account', 6, () => account);
    org.rows('account', 1, () => ({ _parentaccountid_value: { id: parent!, table: 'account' } }));
    await org.sync();
    // The views of one run are those of the tables as they were placed after it.
    const [row] = await query<Record<string, unknown>>(
      `SELECT * FROM mirror.accounts_labelled WHERE accountid = '${parent}'`,
    );
    expect(row).toMatchObject({ statecode_label: 'Active', _primarycontactid_name: 'Ada Lovelace' });
    expect(row!['new_regions_label']).toBe('South; North');
    expect(Object.keys(row!)).not.toContain('_parentaccountid_name');
    await org.expectIdle();
  });

  it('references that lead nowhere are counted, from and to each kind of table', async () => {
    await start(['account', 'contact', 'lead']);
    const nobody = { id: randomUUID(), table: 'contact' };
    org.rows('account', 6, () => ({ _primarycontactid_value: nobody }));
    org.rows('contact', 1, () => ({ _parentcustomerid_value: { id: randomUUID(), table: 'account' } }));
    org.rows('lead', 2, () => ({ _customerid_value: nobody }));
    const first = await org.sync();
    // Before the tables were placed, and after.
    const second = await org.harness.services.mirror.findDangling();
    expect(second).toMatchObject({
      foreignKeys: expect.arrayContaining([expect.objectContaining({ count: 6 })]),
    });
    const found = (second as { foreignKeys: { count: number }[] }).foreignKeys;
    expect(found.reduce((sum, one) => sum + one.count, 0)).toBe(9);
    expect(reportOf(first, 'account')).toMatchObject({ state: 'merged' });
  });
});

it('without Citus, tables stay where they are, and the log says what to do', async () => {
  await start(['account'], (await startPostgres()).createDatabase());
  org.rows('account', 6);
  await org.sync();
  await org.expectMirror('account');
  const warning = org.harness.log.find(({ message }) => message.includes('POSTGRES_DISTRIBUTE'));
  expect(warning).toMatchObject({
    level: 'warn',
    message: expect.stringContaining('has no Citus'),
    properties: { hint: expect.stringContaining('CREATE EXTENSION citus') },
  });
});
