import { quoteIdentifier as quote } from '../schema/sql.ts';
import type { Table } from '../schema/table.ts';
import type { SqliteDatabase } from '../store/sqlite-database.ts';
import { deletedAtColumn } from './mirror-table.ts';

/** The table that holds every version of an entity's rows. */
export const historyName = (table: Table): string => `${table.name}_history`;

/**
 * Opens the history of a table: every version of a row with `valid_from` (inclusive) and `valid_to` (exclusive,
 * NULL for the current one), in the time of the syncs that saw them.
 * Creates what is absent: the table, and columns that the main table has gained.
 */
export function openHistory(db: SqliteDatabase, table: Table, at: string) {
  const name = `main.${quote(historyName(table))}`;
  const key = quote(table.primaryKey);
  const columns = table.columns.filter((column) => column.name !== deletedAtColumn);
  const definitions = columns.map((column) => `${quote(column.name)} ${column.type}`);
  const isNew = db.get('SELECT 1 FROM main.sqlite_master WHERE name = ?', [historyName(table)]) === undefined;
  db.exec(`CREATE TABLE IF NOT EXISTS ${name}
    (${definitions.join(', ')}, valid_from TEXT NOT NULL, valid_to TEXT, PRIMARY KEY (${key}, valid_from))`);
  const present = new Set(
    db
      .all<{ name: string }>(`PRAGMA main.table_info(${quote(historyName(table))})`)
      .map((column) => column.name),
  );
  for (const column of columns) {
    if (!present.has(column.name))
      db.exec(`ALTER TABLE ${name} ADD COLUMN ${quote(column.name)} ${column.type}`);
  }
  const names = columns.map((column) => quote(column.name)).join(', ');
  const live = table.columns.some((column) => column.name === deletedAtColumn)
    ? ` WHERE ${quote(deletedAtColumn)} IS NULL`
    : '';
  // History that begins with rows already here begins with their present state.
  if (isNew)
    db.run(
      `INSERT INTO ${name} (${names}, valid_from) SELECT ${names}, ? FROM main.${quote(table.name)}${live}`,
      [at],
    );

  return {
    /** Before the upsert: closes the versions that attached `shard.rows` replace, and adds the new ones. */
    record(changed: string): void {
      const fresh = `NOT EXISTS (SELECT 1 FROM main.${quote(table.name)} t WHERE t.${key} = s.${key} AND NOT ${changed})`;
      db.run(
        `DELETE FROM ${name} WHERE valid_from = ? AND ${key} IN (SELECT s.${key} FROM shard.rows s WHERE ${fresh})`,
        [at],
      );
      db.run(
        `UPDATE ${name} SET valid_to = ? WHERE valid_to IS NULL
           AND ${key} IN (SELECT s.${key} FROM shard.rows s WHERE ${fresh})`,
        [at],
      );
      const incoming = columns.map((column) => `s.${quote(column.name)}`).join(', ');
      db.run(
        `INSERT INTO ${name} (${names}, valid_from) SELECT ${incoming}, ? FROM shard.rows s WHERE ${fresh}`,
        [at],
      );
    },
    /** Before a delete: closes the versions of the rows that are about to go. */
    close(condition: string): void {
      db.run(
        `UPDATE ${name} SET valid_to = ? WHERE valid_to IS NULL
           AND ${key} IN (SELECT ${key} FROM main.${quote(table.name)} WHERE ${condition})`,
        [at],
      );
    },
  };
}
