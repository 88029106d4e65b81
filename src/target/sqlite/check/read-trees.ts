import type { Tree } from '../../../sqlite/check/tree-check.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';

interface SchemaRow {
  name: string;
  tbl_name: string;
  type: 'table' | 'index';
  rootpage: number;
  sql: string | null;
}

/** The tables and indexes of the database, and the schema's own table, with their first pages. */
export function readTrees(db: SqliteDatabase): Tree[] {
  const rows = db.all<SchemaRow>(
    'SELECT name, tbl_name, type, rootpage, sql FROM main.sqlite_master WHERE rootpage > 0',
  );
  const ofTables = new Map(
    rows.filter(({ type }) => type === 'table').map(({ name, sql }) => [name, sql ?? '']),
  );
  const schema: SchemaRow = {
    name: 'sqlite_schema',
    tbl_name: 'sqlite_schema',
    type: 'table',
    rootpage: 1,
    sql: null,
  };
  return [schema, ...rows].map(({ name, tbl_name: table, type: kind, rootpage: root, sql }) => ({
    name,
    table,
    kind,
    root,
    // A column of the table can have a collation, which its indexes have, too. No index of the app is of either kind; one
    // of its owner may be.
    isBinary: !/\b(?:COLLATE|DESC)\b/i.test(`${sql} ${ofTables.get(table)}`),
    isPartial: kind === 'index' && /\bWHERE\b/i.test(sql ?? ''),
  }));
}
