import { anyOf, quoteIdentifier as quote, renameTableSql } from '../../../schema/sql.ts';
import type { Column, Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import { andLive, deletedAtColumn, historyName, liveRows } from '../../common/mirror-table.ts';

/**
 * Opens the history of a table: every version of a row with `valid_from` (inclusive) and `valid_to` (exclusive, NULL for
 * the current one), in the times of the syncs that found them. Creates the history table if it does not exist, and adds
 * the columns that the table gained.
 * @param at the time of this sync, ISO 8601 in UTC
 * @param options `compare`: rows may have changed while no history was kept
 */
export function openHistory(
  db: SqliteDatabase,
  table: Table,
  at: string,
  options: { compare?: boolean } = {},
) {
  const name = `main.${quote(historyName(table))}`;
  const rows = `main.${quote(table.name)}`;
  const key = quote(table.primaryKey);
  const columns = table.columns.filter((column) => column.name !== deletedAtColumn);
  const names = columns.map((column) => quote(column.name)).join(', ');
  const insert = `INSERT INTO ${name} (${names}, valid_from) SELECT`;

  let isChanged = false;
  if (!db.hasTable(historyName(table))) {
    isChanged = true;
    const definitions = columns.map((column) => `${quote(column.name)} ${column.type}`);
    db.exec(`CREATE TABLE ${name}
      (${definitions.join(', ')}, valid_from TEXT NOT NULL, valid_to TEXT, PRIMARY KEY (${key}, valid_from))`);
    db.run(`${insert} ${names}, ? FROM ${rows}${liveRows(table)}`, [at]);
  } else {
    const isAdapted = adaptColumns(db, table, columns);
    if (isAdapted || options.compare) isChanged = compareVersions() || isAdapted;
  }

  /**
   * Gives rows that differ from their current version a new one, and ends the current versions of rows that are gone: the
   * schema changed, or rows changed while no history was kept. Older versions keep their values and types.
   */
  function compareVersions(): boolean {
    const differs = columns
      .map((column) => quote(column.name))
      .flatMap((column) => [`h.${column} IS NOT t.${column}`, `typeof(h.${column}) <> typeof(t.${column})`]);
    db.exec('DROP TABLE IF EXISTS temp.changed');
    db.exec(`CREATE TEMP TABLE changed AS SELECT t.${key} AS id FROM ${rows} t
      LEFT JOIN ${name} h ON h.${key} = t.${key} AND h.valid_to IS NULL
      WHERE (h.${key} IS NULL OR ${anyOf(differs)})${andLive(table, 't')}`);
    const live = `SELECT ${key} FROM ${rows}${liveRows(table)}`;
    db.exec(
      `INSERT INTO temp.changed SELECT ${key} FROM ${name} WHERE valid_to IS NULL AND ${key} NOT IN (${live})`,
    );
    const { n } = db.get<{ n: number }>('SELECT count(*) AS n FROM temp.changed')!;
    const ids = 'SELECT id FROM temp.changed';
    if (n > 0) {
      closeVersions(ids);
      db.run(`${insert} ${names}, ? FROM ${rows} WHERE ${key} IN (${ids})${andLive(table)}`, [at]);
    }
    db.exec('DROP TABLE temp.changed');
    return n > 0;
  }

  /** Ends the current versions of these rows. A version that began at this time or later would be empty: it goes. */
  function closeVersions(ids: string): void {
    db.run(`DELETE FROM ${name} WHERE valid_from >= ? AND ${key} IN (${ids})`, [at]);
    db.run(`UPDATE ${name} SET valid_to = ? WHERE valid_to IS NULL AND ${key} IN (${ids})`, [at]);
  }

  return {
    /** Whether the history table was created or got other columns. */
    isChanged,
    /** Before the upsert: ends the versions that the attached `shard.rows` replace, and adds the new ones. */
    record(changed: string): void {
      const isNew = `NOT EXISTS (SELECT 1 FROM ${rows} t WHERE t.${key} = s.${key} AND NOT ${changed})`;
      closeVersions(`SELECT s.${key} FROM shard.rows s WHERE ${isNew}`);
      const incoming = columns.map((column) => `s.${quote(column.name)}`).join(', ');
      db.run(`${insert} ${incoming}, ? FROM shard.rows s WHERE ${isNew}`, [at]);
    },
    /** Before a delete: ends the versions of the rows that meet the condition. */
    close(condition: string): void {
      closeVersions(`SELECT ${key} FROM ${rows} WHERE ${condition}`);
    },
  };
}

/**
 * Adds the columns of the table that its history lacks. A column that has another type now loses its declared type, so
 * that old and new values keep theirs.
 * @returns whether anything changed
 */
function adaptColumns(db: SqliteDatabase, table: Table, columns: readonly Column[]): boolean {
  const name = historyName(table);
  const readColumns = () =>
    db.all<{ name: string; type: string; notnull: number }>(`PRAGMA main.table_info(${quote(name)})`);
  const types = new Map(readColumns().map((column) => [column.name, column.type]));
  const added = columns.filter((column) => !types.has(column.name));
  for (const column of added) {
    db.exec(`ALTER TABLE main.${quote(name)} ADD COLUMN ${quote(column.name)} ${column.type}`);
  }
  const retyped = new Set(
    columns
      .filter((column) => (types.get(column.name) || column.type) !== column.type)
      .map((column) => column.name),
  );
  if (retyped.size > 0) {
    const all = readColumns();
    const definitions = all.map((column) => {
      const type = retyped.has(column.name) ? '' : column.type;
      return `${quote(column.name)} ${type}${column.notnull === 1 ? ' NOT NULL' : ''}`;
    });
    const names = all.map((column) => quote(column.name)).join(', ');
    const temporary = `_sync_rebuild_${name}`;
    db.exec(`CREATE TABLE main.${quote(temporary)}
      (${definitions.join(', ')}, PRIMARY KEY (${quote(table.primaryKey)}, valid_from))`);
    db.exec(`INSERT INTO main.${quote(temporary)} (${names}) SELECT ${names} FROM main.${quote(name)}`);
    db.exec(`DROP TABLE main.${quote(name)}`);
    for (const statement of renameTableSql(temporary, name)) db.exec(statement);
  }
  return added.length > 0 || retyped.size > 0;
}
