import { quoteIdentifier as quote } from '../../schema/sql.ts';
import type { Table } from '../../schema/table.ts';
import type { SqliteDatabase } from '../../sqlite/sqlite-database.ts';
import { deletedAtColumn } from './mirror-table.ts';

/**
 * Finds what the filtered tables lack and what they no longer need. A row of a filtered table belongs to the mirror
 * exactly if a chain of foreign keys leads to it from a row of an unfiltered table: what a first sync would bring.
 */
export interface Closure {
  /** Per filtered table (logical name): referenced ids that are not there. */
  missing: Map<string, string[]>;
  /** Per filtered table (logical name): rows that nothing refers to any more. */
  unneeded: Map<string, string[]>;
}

export function findClosure(
  db: SqliteDatabase,
  tables: readonly Table[],
  filtered: ReadonlySet<string>,
): Closure {
  const present = tables.filter((table) => hasTable(db, table.name));
  db.exec(`DROP TABLE IF EXISTS temp.needed;
    CREATE TEMP TABLE needed (entity TEXT, id TEXT, wave INTEGER, PRIMARY KEY (entity, id)) WITHOUT ROWID`);
  const roots = present.filter((table) => !filtered.has(table.logicalName));
  for (const table of roots) addReferences(db, table, filtered, 0, undefined);
  for (let wave = 0; db.get('SELECT 1 FROM temp.needed WHERE wave = ?', [wave]) !== undefined; wave++) {
    for (const table of present) {
      if (filtered.has(table.logicalName)) addReferences(db, table, filtered, wave + 1, wave);
    }
  }
  const missing = new Map<string, string[]>();
  const unneeded = new Map<string, string[]>();
  for (const table of tables) {
    if (!filtered.has(table.logicalName)) continue;
    const { logicalName } = table;
    const ids = (sql: string): string[] => db.all<{ id: string }>(sql, [logicalName]).map((row) => row.id);
    if (!present.includes(table)) {
      missing.set(logicalName, ids('SELECT id FROM temp.needed WHERE entity = ? ORDER BY id'));
      continue;
    }
    const key = quote(table.primaryKey);
    const rows = `main.${quote(table.name)}`;
    missing.set(
      logicalName,
      ids(
        `SELECT id FROM temp.needed WHERE entity = ? AND id NOT IN (SELECT ${key} FROM ${rows}${live(table)}) ORDER BY id`,
      ),
    );
    unneeded.set(
      logicalName,
      ids(
        // Rows that are only marked as deleted stay.
        `SELECT id FROM (SELECT ${key} AS id FROM ${rows}${live(table)}) WHERE id NOT IN (SELECT id FROM temp.needed WHERE entity = ?)`,
      ),
    );
  }
  db.exec('DROP TABLE temp.needed');
  return { missing, unneeded };
}

/** Adds the ids of filtered tables that rows of `table` refer to: all its rows, or those of one wave. */
function addReferences(
  db: SqliteDatabase,
  table: Table,
  filtered: ReadonlySet<string>,
  wave: number,
  from: number | undefined,
): void {
  const rows = `main.${quote(table.name)}`;
  const alive = table.columns.some((column) => column.name === deletedAtColumn)
    ? ` AND ${quote(deletedAtColumn)} IS NULL`
    : '';
  for (const key of table.foreignKeys) {
    for (const target of key.targets) {
      if (!filtered.has(target)) continue;
      const column = quote(key.column);
      // A polymorphic lookup names its target row by row; where it does not, every possible target is asked.
      const typed =
        key.typeColumn === undefined
          ? ''
          : ` AND (${quote(key.typeColumn)} IS NULL OR ${quote(key.typeColumn)} = ?)`;
      const reached =
        from === undefined
          ? ''
          : ` AND ${quote(table.primaryKey)} IN (SELECT id FROM temp.needed WHERE entity = ? AND wave = ?)`;
      db.run(
        `INSERT OR IGNORE INTO temp.needed SELECT ?, ${column}, ? FROM ${rows} WHERE ${column} IS NOT NULL${alive}${typed}${reached}`,
        [
          target,
          wave,
          ...(key.typeColumn === undefined ? [] : [target]),
          ...(from === undefined ? [] : [table.logicalName, from]),
        ],
      );
    }
  }
}

function live(table: Table): string {
  const marks = table.columns.some((column) => column.name === deletedAtColumn);
  return marks ? ` WHERE ${quote(deletedAtColumn)} IS NULL` : '';
}

function hasTable(db: SqliteDatabase, name: string): boolean {
  return db.get("SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = ?", [name]) !== undefined;
}
