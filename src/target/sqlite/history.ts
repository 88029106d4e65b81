import { quoteIdentifier as quote } from '../../schema/sql.ts';
import type { Column, Table } from '../../schema/table.ts';
import type { SqliteDatabase } from '../../sqlite/sqlite-database.ts';
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
  const changed = !isNew && adaptColumns(db, table, columns);
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

  // What changed with the schema is a new version: older ones keep the values and types that they had.
  if (changed) {
    const differs = columns
      .map((column) => quote(column.name))
      .map((column) => `h.${column} IS NOT t.${column} OR typeof(h.${column}) <> typeof(t.${column})`);
    db.exec('DROP TABLE IF EXISTS temp.reopened');
    db.exec(`CREATE TEMP TABLE reopened AS SELECT t.${key} AS id FROM main.${quote(table.name)} t
      JOIN ${name} h ON h.${key} = t.${key} AND h.valid_to IS NULL WHERE ${differs.join(' OR ')}`);
    const reopened = `${key} IN (SELECT id FROM temp.reopened)`;
    db.run(`DELETE FROM ${name} WHERE valid_from = ? AND ${reopened}`, [at]);
    db.run(`UPDATE ${name} SET valid_to = ? WHERE valid_to IS NULL AND ${reopened}`, [at]);
    db.run(
      `INSERT INTO ${name} (${names}, valid_from) SELECT ${names}, ? FROM main.${quote(table.name)} WHERE ${reopened}`,
      [at],
    );
    db.exec('DROP TABLE temp.reopened');
  }

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

/**
 * Gives the history the columns that the main table has. A column that has another type by now loses its declared
 * one, so that old and new values stand in it as they are.
 * @returns whether anything changed
 */
function adaptColumns(db: SqliteDatabase, table: Table, columns: readonly Column[]): boolean {
  const name = quote(historyName(table));
  const present = new Map(
    db
      .all<{ name: string; type: string }>(`PRAGMA main.table_info(${name})`)
      .map((column) => [column.name, column.type]),
  );
  const added = columns.filter((column) => !present.has(column.name));
  for (const column of added)
    db.exec(`ALTER TABLE main.${name} ADD COLUMN ${quote(column.name)} ${column.type}`);
  const retyped = new Set(
    columns
      .filter((column) => (present.get(column.name) || column.type) !== column.type)
      .map((column) => column.name),
  );
  if (retyped.size > 0) {
    const all = db.all<{ name: string; type: string; notnull: number }>(`PRAGMA main.table_info(${name})`);
    const definitions = all.map((column) => {
      const type = retyped.has(column.name) ? '' : column.type;
      return `${quote(column.name)} ${type}${column.notnull === 1 ? ' NOT NULL' : ''}`;
    });
    const names = all.map((column) => quote(column.name)).join(', ');
    const temporary = quote(`_sync_rebuild_${historyName(table)}`);
    db.exec(`CREATE TABLE main.${temporary}
      (${definitions.join(', ')}, PRIMARY KEY (${quote(table.primaryKey)}, valid_from))`);
    db.exec(`INSERT INTO main.${temporary} (${names}) SELECT ${names} FROM main.${name}`);
    db.exec(`DROP TABLE main.${name}`);
    // The legacy way leaves views alone, which name the table that is away for a moment.
    db.exec(`PRAGMA legacy_alter_table = ON; ALTER TABLE main.${temporary} RENAME TO ${name};
      PRAGMA legacy_alter_table = OFF`);
  }
  return added.length > 0 || retyped.size > 0;
}
