import type { Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import type { TableNames } from '../../mirror-target.ts';

// The columns of the keys come first, as in `_choices`.
const createNames = `
CREATE TABLE IF NOT EXISTS _sync_tables (
  table_name TEXT NOT NULL PRIMARY KEY,
  display_name TEXT,
  description TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _sync_columns (
  table_name TEXT NOT NULL,
  column_name TEXT NOT NULL,
  display_name TEXT,
  description TEXT,
  PRIMARY KEY (table_name, column_name)
) WITHOUT ROWID;`;

/** @returns whether there were none */
export function createNameTables(db: SqliteDatabase): boolean {
  if (db.hasTable('_sync_columns') && db.hasTable('_sync_tables')) return false;
  db.exec(createNames);
  return true;
}

/**
 * Updates the display names and descriptions of the tables of the database. Writes only what differs. Tables that are not
 * among the names keep theirs.
 */
export function writeNames(db: SqliteDatabase, tables: readonly Table[], names: readonly TableNames[]): void {
  const byName = new Map(tables.map((table) => [table.logicalName, table]));
  db.exec(`DROP TABLE IF EXISTS temp.names; CREATE TEMP TABLE names
    (table_name TEXT, column_name TEXT, display_name TEXT, description TEXT, PRIMARY KEY (table_name, column_name))`);
  const add = (table: string, column: string, { displayName, description }: Partial<TableNames>) =>
    db.run('INSERT OR IGNORE INTO temp.names VALUES (?, ?, ?, ?)', [
      ...[table, column, displayName ?? null, description ?? null],
    ]);
  for (const one of names) {
    const table = byName.get(one.table);
    if (table === undefined) continue;
    add(table.name, '', one);
    const columns = new Map(table.columns.map(({ property, name }) => [property, name]));
    for (const { column, ...texts } of one.columns) {
      const name = columns.get(column);
      if (name !== undefined) add(table.name, name, texts);
    }
  }
  const isKept = `table_name IN (SELECT value FROM json_each(?))
    AND table_name NOT IN (SELECT table_name FROM temp.names WHERE column_name = '')`;
  const present = JSON.stringify(tables.map(({ name }) => name));
  const differs = 'display_name IS NOT excluded.display_name OR description IS NOT excluded.description';
  const set = 'display_name = excluded.display_name, description = excluded.description';
  db.run(
    `DELETE FROM main._sync_tables WHERE table_name NOT IN
       (SELECT table_name FROM temp.names WHERE column_name = '') AND NOT (${isKept})`,
    [present],
  );
  db.run(
    `DELETE FROM main._sync_columns WHERE (table_name, column_name) NOT IN
       (SELECT table_name, column_name FROM temp.names WHERE column_name <> '') AND NOT (${isKept})`,
    [present],
  );
  db.run(`INSERT INTO main._sync_tables SELECT table_name, display_name, description FROM temp.names
    WHERE column_name = '' ON CONFLICT DO UPDATE SET ${set} WHERE ${differs}`);
  db.run(`INSERT INTO main._sync_columns SELECT * FROM temp.names
    WHERE column_name <> '' ON CONFLICT DO UPDATE SET ${set} WHERE ${differs}`);
  db.exec('DROP TABLE temp.names');
}
