import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startPostgres, withClient } from '../../postgres.ts';
import { Organisation, reportOf } from '../../sync/organisation.ts';
import { addColumn, dropColumn, retypeColumn } from '../../sync/schema-drift.ts';

let address: string;
let org: Organisation;

beforeEach(async () => {
  address = await (await startPostgres()).createDatabase();
});
afterEach(() => org.stop());

async function start(entities: unknown[]): Promise<void> {
  org = await Organisation.start(entities, {}, {}, undefined, address);
}

/** Asks as a reader would. */
const query = <T = Record<string, unknown>>(sql: string): Promise<T[]> =>
  withClient(address, async (client) => (await client.query(sql)).rows as T[]);

const typesOf = async (table: string): Promise<Record<string, string>> => {
  const rows = await query<{ name: string; type: string }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = 'mirror."${table}"'::regclass AND attnum > 0 AND NOT attisdropped`,
  );
  return Object.fromEntries(rows.map(({ name, type }) => [name, type]));
};

describe('the tables', () => {
  it('have the exact types of Dataverse, a key, an index for each reference, and comments', async () => {
    await start(['account', 'contact', { name: 'new_ledgerentry', history: true }]);
    org.rows('account', 2);
    await org.sync();
    expect(await typesOf('accounts')).toMatchObject({
      accountid: 'uuid',
      _primarycontactid_value: 'uuid',
      name: 'text',
      numberofemployees: 'integer',
      revenue: 'numeric',
      creditonhold: 'boolean',
      createdon: 'timestamp with time zone',
      versionnumber: 'bigint',
    });
    const keys = await query(
      `SELECT a.attname AS name FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
       WHERE i.indrelid = 'mirror.accounts'::regclass ORDER BY i.indisprimary DESC, 1`,
    );
    expect(keys[0]).toEqual({ name: 'accountid' });
    expect(keys).toContainEqual({ name: '_primarycontactid_value' });
    // They would reject rows that arrive before the rows that they refer to.
    expect(await query(`SELECT conname FROM pg_constraint WHERE contype = 'f'`)).toEqual([]);
    const listed = await query(
      `SELECT target_table FROM mirror._sync_foreign_keys WHERE table_name = 'accounts' AND column_name = '_primarycontactid_value'`,
    );
    expect(listed).toEqual([{ target_table: 'contacts' }]);
    const [comments] = await query(
      `SELECT obj_description('mirror.accounts'::regclass) AS one, col_description('mirror.accounts'::regclass, attnum) AS two
       FROM pg_attribute WHERE attrelid = 'mirror.accounts'::regclass AND attname = 'name'`,
    );
    expect(comments).toEqual({
      one: expect.stringContaining('Account'),
      two: 'name',
    });
    const [labelled] = await query('SELECT count(*)::integer AS n FROM mirror.accounts_labelled');
    expect(labelled).toEqual({ n: 2 });
    expect(await typesOf('new_ledgerentries_history')).toMatchObject({
      valid_from: 'timestamp with time zone',
    });
  });

  it('are altered in place: a column is added, retyped, dropped and back, and no row is lost', async () => {
    await start([{ name: 'account', history: true }]);
    const { store } = org;
    addColumn(store, 'account', 'new_code', 'int', () => 7);
    const ids = org.rows('account', 3, () => ({ new_code: 7 }));
    await org.sync();
    expect((await typesOf('accounts'))['new_code']).toBe('integer');
    retypeColumn(store, 'account', 'new_code', 'text', () => 'seven');
    await org.sync();
    expect((await typesOf('accounts'))['new_code']).toBe('text');
    await org.expectMirror('account');
    retypeColumn(store, 'account', 'new_code', 'guid', () => ids[0]!);
    await org.sync();
    expect((await typesOf('accounts'))['new_code']).toBe('uuid');
    dropColumn(store, 'account', 'new_code');
    await org.sync();
    expect((await typesOf('accounts'))['new_code']).toBe('uuid');
    const [values] = await query('SELECT count(new_code)::integer AS n FROM mirror.accounts');
    expect(values).toEqual({ n: 3 });
    addColumn(store, 'account', 'new_code', 'bool', () => true);
    await org.sync();
    expect((await typesOf('accounts'))['new_code']).toBe('boolean');
    await org.expectMirror('account');
    const versions = await query<{ v: string }>(
      'SELECT DISTINCT new_code AS v, min(valid_from) FROM mirror.accounts_history GROUP BY 1 ORDER BY 2',
    );
    expect(versions.map(({ v }) => v)).toEqual(['7', 'seven', ids[0], 'true']);
    await org.expectIdle();
  });

  it('have a version in the history for each value that a change of its type took away', async () => {
    await start([{ name: 'account', history: true }]);
    addColumn(org.store, 'account', 'new_was', 'text', () => 'an old text');
    org.rows('account', 2, () => ({ new_was: 'an old text' }));
    await org.sync();
    retypeColumn(org.store, 'account', 'new_was', 'datetime', () => null);
    await org.sync();
    const current = 'SELECT DISTINCT new_was FROM mirror.accounts_history WHERE valid_to IS NULL';
    expect(await query(current)).toEqual([{ new_was: null }]);
  });

  it('follow the name of their entity set, with their indexes, and views of somebody else go on', async () => {
    await start(['account', { name: 'contact', history: true }]);
    const [contact] = org.rows('contact', 1);
    org.rows('account', 2, () => ({ _primarycontactid_value: { id: contact!, table: 'contact' } }));
    await org.sync();
    await query('CREATE VIEW public.mine AS SELECT contactid FROM mirror.contacts');
    const { store } = org;
    const renamed = store.table('contact');
    store.model.remove(renamed);
    renamed.entitySetName = 'people';
    store.model.add(renamed);
    store.schemaChanged();
    await org.sync();
    await org.expectMirror('account', 'contact');
    await org.expectSound();
    expect(await query('SELECT * FROM public.mine')).toHaveLength(1);
    const names = await query<{ name: string }>(
      `SELECT relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = 'mirror' AND relname LIKE 'contacts%' AND relname NOT LIKE '%pkey' ORDER BY 1`,
    );
    // Earlier versions stay where readers know them.
    expect(names).toEqual([{ name: 'contacts_history' }]);
    expect(await query('SELECT contactid FROM mirror.people_labelled')).toHaveLength(1);
    await org.expectIdle();
  });

  it('have names that PostgreSQL can store, and a list of those that were cut', async () => {
    await start([{ name: 'account', history: true }]);
    const long = ['a', 'b'].map((end) => `new_${'long'.repeat(16)}${end}`);
    for (const name of long) addColumn(org.store, 'account', name, 'text', () => name);
    org.rows('account', 1, () => Object.fromEntries(long.map((name) => [name, name])));
    await org.sync();
    const names = await query<{ stored_name: string; name: string }>(
      `SELECT stored_name, name FROM mirror._sync_names WHERE table_name = 'accounts' ORDER BY name`,
    );
    expect(names.map(({ name }) => name)).toEqual(long);
    const [row] = await query('SELECT * FROM mirror.accounts');
    for (const { stored_name, name } of names) expect(row![stored_name]).toBe(name);
    await org.expectIdle();
  });

  it('stay as they are where a view of somebody else uses them, and other tables go on', async () => {
    await start(['account', 'lead']);
    addColumn(org.store, 'account', 'new_code', 'int', () => 7);
    org.rows('account', 2, () => ({ new_code: 7 }));
    await org.sync();
    await query('CREATE VIEW public.mine AS SELECT new_code FROM mirror.accounts');
    // A view of the mirror that another table's changes leave alone.
    await query('CREATE VIEW public.other AS SELECT leadid FROM mirror.leads_labelled');
    retypeColumn(org.store, 'account', 'new_code', 'text', () => 'seven');
    org.rows('lead', 2);
    const status = await org.sync();
    expect(reportOf(status, 'account')).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('depends on it'),
      hint: expect.stringContaining('views'),
    });
    expect(reportOf(status, 'lead')).toMatchObject({ state: 'merged', added: 2 });
    await query('DROP VIEW public.mine');
    await org.sync();
    await org.expectMirror('account', 'lead');
  });

  it('keep their readers, and those of their views, whatever changes', async () => {
    const reader = `"Reader ${address.slice(-30, -15).replaceAll(/\W/g, '')}"`;
    await start(['account']);
    addColumn(org.store, 'account', 'new_code', 'int', () => 7);
    org.rows('account', 2, () => ({ new_code: 7 }));
    await org.sync();
    await query(`CREATE ROLE ${reader}`);
    await query(`GRANT USAGE ON SCHEMA mirror TO ${reader}`);
    await query(`GRANT SELECT ON mirror.accounts, mirror.accounts_labelled TO ${reader}`);
    retypeColumn(org.store, 'account', 'new_code', 'text', () => 'seven');
    await org.sync();
    addColumn(org.store, 'account', 'new_more', 'text', () => 'more');
    await org.sync();
    for (const relation of ['accounts', 'accounts_labelled']) {
      const rows = await withClient(address, async (client) => {
        await client.query(`SET ROLE ${reader}`);
        return (await client.query(`SELECT new_code, new_more FROM mirror.${relation}`)).rows;
      });
      expect(rows).toEqual(Array(2).fill({ new_code: 'seven', new_more: 'more' }));
    }
    await org.expectIdle();
  });

  it('keep a labelled view that somebody else’s view uses', async () => {
    await start(['account']);
    org.rows('account', 2);
    await org.sync();
    await query('CREATE VIEW public.mine AS SELECT name FROM mirror.accounts_labelled');
    addColumn(org.store, 'account', 'new_code', 'int', () => 7);
    expect(reportOf(await org.sync(), 'account')).toMatchObject({ state: 'merged' });
    await org.expectMirror('account');
    expect(await query('SELECT name FROM public.mine')).toHaveLength(2);
    await org.expectIdle();
  });
});

describe('values that PostgreSQL cannot store', () => {
  it('are repaired, and reported with their table, and no other is affected', async () => {
    await start(['account', 'lead']);
    org.rows('account', 3, (n) =>
      n === 0 ? { name: 'a\0b', description: '\0\0' } : { name: `fine ${n}`, description: null },
    );
    org.rows('lead', 1);
    const status = await org.sync();
    const report = reportOf(status, 'account');
    expect(report).toMatchObject({ state: 'merged', added: 3 });
    for (const column of ['name', 'description'])
      expect(report.reason).toContain(
        `PostgreSQL cannot store some characters of 1 values of ${column}: they were left out`,
      );
    expect(reportOf(status, 'lead').reason).not.toContain('PostgreSQL');
    const rows = await query('SELECT name, description FROM mirror.accounts ORDER BY name');
    expect(rows[0]).toEqual({ name: 'ab', description: '' });
    // The row is stored as it can be, so it is not read again and again.
    await org.expectIdle();
  });

  it('are NULL where there is no such value, as in a year 0 or beyond 64 bits', async () => {
    await start(['account']);
    addColumn(org.store, 'account', 'new_when', 'datetime', () => null);
    addColumn(org.store, 'account', 'new_day', 'date', () => null);
    org.rows('account', 2, (n) =>
      n === 0
        ? { new_when: '0000-01-01T00:00:00Z', new_day: 'infinity' }
        : { new_when: '9999-12-31T23:59:59Z', new_day: null },
    );
    const report = reportOf(await org.sync(), 'account');
    for (const column of ['new_day', 'new_when'])
      expect(report.reason).toContain(`PostgreSQL cannot store 1 values of ${column}: they are NULL`);
    const [count] = await query(
      'SELECT count(*)::integer AS rows, count(new_when)::integer AS times FROM mirror.accounts',
    );
    expect(count).toEqual({ rows: 2, times: 1 });
  });
});

describe('a mirror', () => {
  it('that the owner of the database empties is made again', async () => {
    await start(['account', 'lead']);
    org.rows('account', 2);
    org.rows('lead', 2);
    await org.sync();
    await query('DROP TABLE mirror.leads CASCADE');
    await org.sync();
    await org.expectMirror('account', 'lead');
    await query('DROP SCHEMA mirror CASCADE');
    await org.sync();
    await org.expectMirror('account', 'lead');
    await org.expectIdle();
  });

  it('drops a table on request, with its history, views and rows about it', async () => {
    await start(['account', { name: 'lead', history: true }]);
    org.rows('lead', 2);
    await org.sync();
    org.harness.configure(['account']);
    await org.sync({ dropTables: ['lead'] });
    const left = await query(
      `SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = 'mirror' AND relname LIKE 'leads%'`,
    );
    expect(left).toEqual([]);
    await org.expectMirror('account');
  });

  it('keeps a table that somebody else’s view uses, and the run goes on', async () => {
    await start(['account', 'lead']);
    org.rows('lead', 2);
    await org.sync();
    await query('CREATE VIEW public.mine AS SELECT leadid FROM mirror.leads');
    org.harness.configure(['account']);
    org.rows('account', 1);
    const status = await org.sync({ dropTables: ['lead'] });
    expect(reportOf(status, 'account')).toMatchObject({ state: 'merged', added: 1 });
    expect(await query('SELECT leadid FROM public.mine')).toHaveLength(2);
    await query('DROP VIEW public.mine');
    await org.sync({ dropTables: ['lead'] });
    expect(await query(`SELECT relname FROM pg_class WHERE relname LIKE 'leads%'`)).toEqual([]);
  });

  it('counts the rows of a large table again once a day', async () => {
    org = await Organisation.start(['account'], {}, {}, 2, address);
    org.rows('account', 4);
    await org.sync();
    await query(`INSERT INTO mirror.accounts (accountid, versionnumber) VALUES (gen_random_uuid(), 1)`);
    const kept = async () => {
      org.rows('account', 1);
      await org.sync();
      const [state] = await query('SELECT rows::integer FROM mirror._sync_state');
      return state!['rows'];
    };
    expect(await kept()).toBe(5);
    org.clock.now += 25 * 3_600_000;
    const [counted, rows] = [await kept(), await query('SELECT 1 FROM mirror.accounts')];
    expect(counted).toBe(rows.length);
  });

  it('counts references to absent rows, and shows them', async () => {
    await start(['account', 'contact']);
    const [contact] = org.rows('contact', 1);
    org.rows('account', 2, () => ({ _primarycontactid_value: { id: contact!, table: 'contact' } }));
    await org.sync();
    await query(`DELETE FROM mirror.contacts`);
    const { mirror } = org.harness.services;
    const found = await mirror.findDangling();
    if (found === undefined || found === 'large') throw new Error('nothing was found');
    expect(found.foreignKeys).toMatchObject([
      { table: 'accounts', column: '_primarycontactid_value', targets: ['contacts'], count: 2 },
    ]);
    const options = { startedAt: '', checkpoint: undefined as never, isTimeOver: () => false };
    const { result } = await mirror.checkStep(undefined, options);
    expect(result).toMatchObject({
      danglingReferences: 2,
      miscounted: [{ table: 'contact', kept: 1, counted: 0 }],
    });
    // A step whose time is over at once does one table.
    const late = { ...options, isTimeOver: () => true };
    const first = await mirror.checkStep(undefined, late);
    expect(first).toMatchObject({ progress: { references: { done: 1, total: 2 } } });
    expect(first.result).toBeUndefined();
    expect((await mirror.checkStep(structuredClone(first.progress), late)).result).toEqual(result);
  });
});
