import { describe, expect, it } from 'vitest';
import { migrationSql } from '../../src/schema/migration.ts';
import { createTableSql, indexSql } from '../../src/schema/sql.ts';
import type { Table } from '../../src/schema/table.ts';
import { column, open, plain, table } from './tables.ts';

describe('createTableSql', () => {
  it('declares foreign keys to a single synced table, and indexes those to any synced table', () => {
    const contact = table('contact', []);
    const account = table(
      'account',
      [
        column('action', 'text'),
        column('_c_value', 'guid'),
        column('_o_value', 'guid'),
        column('_x_value', 'guid'),
      ],
      {
        foreignKeys: [
          { column: '_c_value', targets: ['contact'], source: 'metadata' },
          { column: '_o_value', targets: ['contact', 'account'], typeColumn: '_o_type', source: 'metadata' },
          { column: '_x_value', targets: ['absent'], source: 'pattern' },
        ],
      },
    );
    const synced = [contact, account];
    const database = open(
      createTableSql(contact),
      createTableSql(account, { synced }),
      ...indexSql(account, { synced }),
    );
    expect(plain(database.prepare('PRAGMA foreign_key_list(accounts)').all())).toMatchObject([
      { table: 'contacts', from: '_c_value', to: 'contactid' },
    ]);
    expect(
      database
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")
        .all()
        .map((r) => r['name']),
    ).toEqual(['accounts._c_value', 'accounts._o_value']);
    expect(() => database.exec('INSERT INTO accounts (accountid) VALUES (NULL)')).toThrow(/NOT NULL/);
  });
});

describe('migrationSql', () => {
  const before = table('account', [
    column('a', 'integer', 'Edm.Int32'),
    column('b', 'text'),
    column('c', 'real', 'Edm.Double'),
  ]);

  function filled() {
    return open(
      createTableSql(before),
      "INSERT INTO accounts VALUES ('1', 9007199254740993, 'x', 1.5), ('2', NULL, '7', NULL)",
      'CREATE VIEW v AS SELECT b FROM accounts',
    );
  }

  it('has no statements if nothing changed', () => {
    expect(migrationSql(before, structuredClone(before))).toEqual({
      statements: [],
      changes: [],
      hasOtherValues: false,
      table: { ...before, declaredKeys: [] },
    });
  });

  it('adds a column in place and requests a new read', () => {
    const database = filled();
    const to = { ...before, columns: [...before.columns, column('d', 'text')] };
    const { statements, changes } = migrationSql(before, to);
    expect(statements).toEqual(['ALTER TABLE "accounts" ADD COLUMN "d" TEXT']);
    for (const statement of statements) database.exec(statement);
    expect(changes).toMatchObject([{ change: 'new-column', column: 'd', needsReread: true }]);
    expect(database.prepare('SELECT count(*) n FROM accounts WHERE d IS NULL').get()).toMatchObject({ n: 2 });
  });

  it('widens and retypes columns and keeps removed ones, with every row and with a view', () => {
    const database = filled();
    const to = table('account', [column('a', 'text'), column('b', 'integer', 'Edm.Int32')]);
    const migration = migrationSql(before, to);
    database.exec('BEGIN');
    for (const statement of migration.statements) database.exec(statement);
    database.exec('COMMIT');
    expect(migration.changes).toMatchObject([
      { change: 'widened', column: 'a' },
      { change: 'retyped', column: 'b', needsReread: true },
      { change: 'removed-column', column: 'c' },
    ]);
    expect(plain(database.prepare('SELECT * FROM accounts ORDER BY 1').all())).toEqual([
      { accountid: '1', a: '9007199254740993', b: 'x', c: 1.5 },
      { accountid: '2', a: null, b: 7, c: null },
    ]);
    expect(database.prepare('SELECT count(*) n FROM v').get()).toMatchObject({ n: 2 });
    expect(migration.table.staleColumns).toMatchObject([{ name: 'c' }]);

    const back = migrationSql(migration.table, before);
    for (const statement of back.statements) database.exec(statement);
    expect(back.changes).toMatchObject([
      { change: 'retyped' },
      { change: 'widened' },
      { change: 'restored-column', column: 'c' },
    ]);
    expect(database.prepare("SELECT c FROM accounts WHERE accountid = '1'").get()).toMatchObject({ c: 1.5 });
  });

  it('rebuilds the table for a new key, name or foreign keys', () => {
    const database = open(
      createTableSql(before),
      "INSERT INTO accounts VALUES ('1', 5, 'k1', 1), ('2', 6, NULL, 2)",
    );
    const other = table('other', []);
    database.exec(createTableSql(other));
    const to: Table = {
      ...before,
      name: 'accts',
      primaryKey: 'b',
      foreignKeys: [{ column: 'c', targets: ['other'], source: 'metadata' }],
    };
    const { statements, changes } = migrationSql(before, to, {
      synced: [to, other],
      syncedBefore: [before],
    });
    for (const statement of statements) database.exec(statement);
    expect(changes.map(({ change }) => change)).toEqual(['renamed-table', 'new-key', 'foreign-keys']);
    expect(plain(database.prepare('SELECT * FROM accts').all())).toEqual([
      { accountid: '1', a: 5, b: 'k1', c: 1 },
    ]);
    expect(database.prepare('PRAGMA integrity_check').get()).toMatchObject({ integrity_check: 'ok' });
  });
});
