import { describe, expect, it } from 'vitest';
import { createTableSql, indexSql } from '../../src/schema/ddl.ts';
import { migrationSql } from '../../src/schema/migration.ts';
import { tablesFromSqlite } from '../../src/schema/table-from-sqlite.ts';
import { column, open, reader, table } from './tables.ts';

describe('tablesFromSqlite', () => {
  const contact = table('contact', [column('n', 'integer'), column('x', 'base64'), column('r', 'real')]);
  const account = table(
    'account',
    [column('_c_type', 'text'), column('_c_value', 'guid'), column('versionnumber', 'integer')],
    {
      foreignKeys: [{ column: '_c_value', targets: ['contact'], source: 'metadata' }],
      versionColumn: 'versionnumber',
    },
  );
  const synced = [contact, account];
  const logicalNames = new Map(synced.map(({ name, logicalName }) => [name, logicalName]));
  const database = open(
    ...synced.flatMap((one) => [createTableSql(one, { synced }), ...indexSql(one, { synced })]),
    'CREATE TABLE _sync_state (entity TEXT PRIMARY KEY)',
    'CREATE TABLE accounts_history (accountid TEXT PRIMARY KEY, valid_from TEXT, valid_to TEXT)',
    'CREATE TABLE pairs (a TEXT, b TEXT, PRIMARY KEY (a, b))',
    'CREATE VIEW accounts_labelled AS SELECT * FROM accounts',
  );

  it('reads back what was created, without what is not a mirrored table', () => {
    const tables = tablesFromSqlite(reader(database), { logicalNames });
    expect(tables.map(({ logicalName }) => logicalName)).toEqual(['account', 'contact']);
    expect(tables[0]).toMatchObject({
      name: 'accounts',
      primaryKey: 'accountid',
      versionColumn: 'versionnumber',
      foreignKeys: [{ column: '_c_value', targets: ['contact'], typeColumn: '_c_type' }],
    });
    expect(tables[1]!.columns.map((c) => `${c.name} ${c.type}`)).toEqual([
      'contactid TEXT',
      'n INTEGER',
      'x BLOB',
      'r REAL',
    ]);
  });

  it('is enough to see that nothing changed, and what did', () => {
    const tables = tablesFromSqlite(reader(database), { logicalNames });
    for (const to of synced) {
      const from = tables.find(({ name }) => name === to.name)!;
      expect(migrationSql(from, to, { synced, syncedBefore: tables })).toMatchObject({
        statements: [],
        changes: [],
      });
    }
    const wider = {
      ...contact,
      columns: contact.columns.map((c) => (c.name === 'n' ? column('n', 'text') : c)),
    };
    expect(migrationSql(tables[1]!, wider).changes).toMatchObject([{ change: 'widened', column: 'n' }]);
  });
});
