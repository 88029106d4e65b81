import { afterEach, describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../src/errors.ts';
import type { RunStatus } from '../../src/sync/run/run-status.ts';
import { startPostgres, withClient } from '../postgres.ts';
import { Organisation } from '../sync/organisation.ts';
import { addColumn, addLookup, dropColumn, renameSet, retypeColumn } from '../sync/schema-drift.ts';
import { withDatabase } from '../sync/truth.ts';

const entities = [
  { name: 'account', history: true, rawJson: true },
  { name: 'contact', filtered: true, history: true },
  { name: 'lead', deletes: 'mark', strategy: 'modifiedon' },
  { name: 'task', deletes: 'mark', history: true, strategy: 'full' },
  'accountleads',
  'webresource',
];

let org: Organisation;
afterEach(() => org.stop());

/** Everything that a mirror can hold: drift, deletes, marks, histories, dangling references. */
async function start(options: unknown[] = entities): Promise<void> {
  org = await Organisation.start(options, { seed: 3 });
  const { store } = org;
  const contacts = org.rows('contact', 6, (n) => ({ firstname: `first ${n}` }));
  const accounts = org.rows('account', 40, (n) => ({
    name: n % 7 === 0 ? null : `account ${n} "quoted"\t\\N`,
    revenue: n * 1234.5678,
    _primarycontactid_value: { id: contacts[n % 4]!, table: 'contact' },
  }));
  const leads = org.rows('lead', 25, (n) => ({ subject: `lead ${n}` }));
  org.rows('task', 12, (n) => ({ subject: `task ${n}` }));
  org.rows('webresource', 3);
  addColumn(store, 'account', 'new_gone', 'text', () => 'last value');
  addColumn(store, 'account', 'new_amount', 'integer', () => 7);
  await org.sync();
  dropColumn(store, 'account', 'new_gone');
  for (const id of accounts.slice(0, 5)) store.update('account', id, { name: 'changed' });
  for (const id of accounts.slice(5, 8)) store.delete('account', id);
  for (const id of leads.slice(0, 4)) store.delete('lead', id);
  await org.sync();
  // All that comes in another run.
  await org.sync();
}

const read = (status: RunStatus) =>
  status.entities.map(({ name, strategy, rowsRead, reread, error }) => ({
    name,
    strategy,
    rowsRead,
    reread,
    error,
  }));

/** The rows of all tables that a move takes over, whatever target has them. */
async function contents(): Promise<Record<string, unknown[]>> {
  const bytes = await org.harness.databaseBytes();
  return withDatabase(bytes, (db) => {
    const names = db
      .prepare("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name")
      .all()
      .map(({ name }) => String(name))
      .filter(
        (name) => !/^(?:sqlite_|_sync_(?:state|meta|names|views|schema_changes|log)$|rows of )/.test(name),
      );
    const found = Object.fromEntries(
      names.map((name) => {
        const columns = db
          .prepare('SELECT name FROM pragma_table_info(?) ORDER BY name')
          .all(name)
          .map((one) => String(one['name']))
          // What the own lists of one target have besides.
          .filter((column) => !(name.startsWith('_') && ['place', 'is_narrow'].includes(column)));
        const list = columns.map((one) => `"${one.replaceAll('"', '""')}"`).join(', ');
        const rows = db.prepare(`SELECT ${list} FROM "${name}"`).all();
        const texts = rows.map((row) => JSON.stringify(Object.values(row).map(plain)));
        return [name, texts.sort()];
      }),
    );
    // A file has it only once there are files.
    if (found['_files']?.length === 0) delete found['_files'];
    return found;
  });
}

/** JSON is written with other spaces, and numbers with other digits behind them. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value !== 'string') return value;
  if (/^-?\d+\.\d+$/.test(value)) return Number(value);
  if (!/^[{[]/.test(value)) return value;
  try {
    return sorted(JSON.parse(value));
  } catch {
    return value;
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort()
      .map(([key, one]) => [key, sorted(one)]),
  );
}

describe('a mirror that is moved to PostgreSQL, and back', () => {
  it('has all that it had, and goes on without reading Dataverse anew', async () => {
    await start();
    const idle = await org.sync();
    const before = await contents();
    const address = await (await startPostgres()).createDatabase();

    const moved = await org.harness.move(address);
    expect(moved.tables.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(await contents()).toEqual(before);
    const first = await org.sync();
    expect(read(first)).toEqual(read(idle));
    expect(first.totals).toMatchObject({ added: 0, updated: 0, deleted: 0, failed: 0 });
    await org.expectMirror('account', 'lead', 'task');

    const { store } = org;
    const [account, other] = await org.ids('account');
    store.update('account', account!, { name: 'on the server' });
    store.delete('account', other!);
    org.rows('lead', 2);
    addColumn(store, 'account', 'new_later', 'text', () => 'x');
    await org.sync();
    await org.expectMirror('account', 'lead', 'task');
    await org.expectSound();
    await org.sync();
    const idleThere = await org.sync();
    const there = await contents();
    const runs = async () => (await org.query('SELECT DISTINCT run_id FROM _sync_log ORDER BY 1')).length;
    const runsThere = await runs();

    const back = await org.harness.move(undefined);
    expect(back.tables.map(({ table }) => table).sort()).toEqual(
      moved.tables.map(({ table }) => table).sort(),
    );
    expect(await contents()).toEqual(there);
    // With the runs that changed nothing, whose lines waited for a commit.
    expect(await runs()).toBeGreaterThanOrEqual(runsThere);
    const second = await org.sync();
    expect(read(second)).toEqual(read(idleThere));
    expect(second.totals).toMatchObject({ added: 0, updated: 0, deleted: 0, failed: 0 });
    await org.expectMirror('account', 'lead', 'task');
    await org.expectSound();
    store.update('account', account!, { name: 'in the file' });
    await org.sync();
    await org.expectMirror('account', 'lead', 'task');
    await org.expectSound();
  });

  it('comes from several files into one schema', async () => {
    await start([
      { name: 'account', database: 'sales', history: true },
      { name: 'lead', database: 'sales', deletes: 'mark', strategy: 'modifiedon' },
      'task',
      'contact',
    ]);
    const before = await contents();
    org.harness.configure([
      'account',
      { name: 'lead', deletes: 'mark', strategy: 'modifiedon' },
      'task',
      'contact',
    ]);
    const address = await (await startPostgres()).createDatabase();
    await org.harness.move(address);
    expect(Object.keys(await contents())).toEqual(
      expect.arrayContaining(Object.keys(before).filter((name) => !name.startsWith('_'))),
    );
    const status = await org.sync();
    expect(status.totals).toMatchObject({ added: 0, updated: 0, deleted: 0, failed: 0 });
    await org.expectMirror('account', 'lead', 'task', 'contact');
  });

  it('comes from named files alone', async () => {
    await start([
      { name: 'account', database: 'sales' },
      { name: 'lead', database: 'service' },
    ]);
    org.harness.configure(['account', 'lead']);
    await org.harness.move(await (await startPostgres()).createDatabase());
    await org.sync();
    await org.expectMirror('account', 'lead');
  });

  it('keeps versions of another type, and numbers and days whatever the settings of the server are', async () => {
    org = await Organisation.start([{ name: 'account', history: true }], { seed: 3 });
    const { store } = org;
    addColumn(store, 'account', 'new_was', 'text', () => 'an old text');
    addColumn(store, 'account', 'new_number', 'double', () => 0.1 + 0.2);
    const [id] = org.rows('account', 3, () => ({ new_was: 'an old text', new_number: 0.1 + 0.2 }));
    await org.sync();
    dropColumn(store, 'account', 'new_was');
    addColumn(store, 'account', 'new_was', 'datetime', () => '2020-02-03T04:05:06Z');
    await org.sync();
    store.update('account', id!, { name: 'changed' });
    await org.sync();
    const before = await contents();
    expect(JSON.stringify(before['accounts_history'])).toContain('an old text');
    const address = await (await startPostgres()).createDatabase();
    await withClient(address, async (client) => {
      const name = new URL(address).pathname.slice(1);
      await client.query(`ALTER DATABASE ${name} SET datestyle = 'German, DMY'`);
      await client.query(`ALTER DATABASE ${name} SET extra_float_digits = 0`);
      await client.query(`ALTER DATABASE ${name} SET bytea_output = 'escape'`);
    });
    await org.harness.move(address);
    await org.harness.move(undefined);
    expect(await contents()).toEqual(before);
  });

  it('adds no versions of rows that did not change', async () => {
    org = await Organisation.start([{ name: 'account', history: true }], { seed: 3 });
    const { store } = org;
    addColumn(store, 'account', 'new_was', 'text', () => 'an old text');
    const [id] = org.rows('account', 3, () => ({ new_was: 'an old text' }));
    await org.sync();
    dropColumn(store, 'account', 'new_was');
    addColumn(store, 'account', 'new_was', 'datetime', () => '2020-02-03T04:05:06Z');
    await org.sync();
    const versions = async () => (await org.query('SELECT accountid FROM accounts_history')).length;
    const before = await versions();
    await org.harness.move(await (await startPostgres()).createDatabase());
    store.update('account', id!, { new_was: '2021-02-03T04:05:06Z' });
    await org.sync();
    expect(await versions()).toBe(before + 1);
    // All current versions are compared then.
    addColumn(store, 'account', 'new_other', 'text', () => null);
    await org.sync();
    expect(await versions()).toBe(before + 1);
    await org.harness.move(undefined);
    addColumn(store, 'account', 'new_third', 'text', () => null);
    await org.sync();
    expect(await versions()).toBe(before + 1);
    await org.expectSound();
  });

  it('adds no versions of booleans that were of another type, there and back', async () => {
    org = await Organisation.start([{ name: 'account', history: true }], { seed: 3 });
    const { store } = org;
    addColumn(store, 'account', 'new_was', 'int', () => 7);
    org.rows('account', 2, () => ({ new_was: 7 }));
    await org.sync();
    await org.harness.move(await (await startPostgres()).createDatabase());
    retypeColumn(store, 'account', 'new_was', 'bool', () => false);
    await org.sync();
    const versions = async () => (await org.query('SELECT accountid FROM accounts_history')).length;
    const before = await versions();
    await org.harness.move(undefined);
    addColumn(store, 'account', 'new_third', 'text', () => null);
    await org.sync();
    expect(await versions()).toBe(before);
    await org.expectSound();
  });

  it('has the columns of a lookup again whose names were cut', async () => {
    org = await Organisation.start(['account', 'contact'], { seed: 3 });
    const lookup = `new_${'l'.repeat(56)}`;
    addLookup(org.store, 'account', lookup, ['account', 'contact']);
    const [id] = org.rows('contact', 1);
    org.rows('account', 3, () => ({ [`_${lookup}_value`]: { id: id!, table: 'contact' } }));
    await org.sync();
    const before = await contents();
    await org.harness.move(await (await startPostgres()).createDatabase());
    await org.sync();
    await org.harness.move(undefined);
    expect(await contents()).toEqual(before);
    const { totals, entities: reports } = await org.sync();
    expect(totals).toMatchObject({ rowsRead: 0, updated: 0, failed: 0 });
    expect(reports.map(({ reread }) => reread)).toEqual([undefined, undefined]);
  });

  it('keeps names that stand for those which a mirror cannot have', async () => {
    org = await Organisation.start([{ name: 'account', history: true }, 'lead', 'contact'], { seed: 3 });
    const { store } = org;
    renameSet(store, 'lead', 'sqlite_leads');
    renameSet(store, 'contact', 'ACCOUNTS');
    addColumn(store, 'account', 'valid_from', 'text', () => 'Monday');
    const [id] = org.rows('account', 2, () => ({ valid_from: 'Monday' }));
    org.rows('lead', 2);
    org.rows('contact', 2);
    await org.sync();
    store.update('account', id!, { valid_from: 'Friday' });
    await org.sync();
    const idle = await org.sync();
    const before = await contents();
    expect(Object.keys(before)).toEqual(expect.arrayContaining(['_sqlite_leads', 'ACCOUNTS_2']));
    await org.harness.move(await (await startPostgres()).createDatabase());
    await org.harness.move(undefined);
    expect(await contents()).toEqual(before);
    expect(read(await org.sync())).toEqual(read(idle));
  });

  it('keeps the history of a table whose name was cut', async () => {
    org = await Organisation.start([{ name: 'account', history: true }], { seed: 3 });
    const [id] = org.rows('account', 2);
    renameSet(org.store, 'account', 'a'.repeat(57));
    await org.sync();
    org.store.update('account', id!, { name: 'changed' });
    await org.sync();
    const before = await contents();
    expect(before[`${'a'.repeat(57)}_history`]).toHaveLength(3);
    await org.harness.move(await (await startPostgres()).createDatabase());
    await org.harness.move(undefined);
    expect(await contents()).toEqual(before);
  });

  it('is not moved over another mirror, and a failure leaves nothing', async () => {
    await start(['account', 'lead']);
    const address = await (await startPostgres()).createDatabase();
    const tables = () =>
      withClient(
        address,
        async (client) =>
          (await client.query("SELECT count(*)::int AS n FROM pg_tables WHERE schemaname = 'mirror'")).rows[0]
            .n,
      );
    const { databaseFile } = org.harness.storage;
    const open = databaseFile.open.bind(databaseFile);
    databaseFile.open = async (...args) => {
      const found = await open(...args);
      if (typeof found === 'string') return found;
      let reads = 0;
      const read = found.read.bind(found);
      return Object.assign(Object.create(found), {
        read: (...place: Parameters<typeof read>) => {
          reads += 1;
          if (reads > 2) throw new Error('The storage is gone.');
          return read(...place);
        },
      });
    };
    await expect(org.harness.move(address)).rejects.toThrow();
    expect(await tables()).toBe(0);
    databaseFile.open = open;
    await org.harness.move(address);
    expect(await tables()).toBeGreaterThan(10);
    await org.harness.move(undefined);
    await expect(org.harness.move(address)).rejects.toThrow(ConfigurationError);
  });
});
