import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import { andLive, liveRows } from '../../common/mirror-table.ts';
import type { Closure } from '../../mirror-target.ts';

export interface ClosureOptions {
  /** The tables of which the ids that they have and need are wanted, too. */
  withPresent?: ReadonlySet<string>;
  /**
   * Only rows that were merged in this transaction are followed: those in `temp.merged`, and all of the tables whose logical
   * names are here. Nothing is found unneeded then.
   * @default all rows are followed
   */
  ofMerged?: ReadonlySet<string> | undefined;
  /** Ids that rows of other files refer to, by logical name. */
  needed?: ReadonlyMap<string, readonly string[]>;
}

/** The closure in one file. */
export interface FileClosure extends Closure {
  /** Ids of filtered tables in other files that rows refer to, by logical name. */
  outside: Map<string, string[]>;
}

/**
 * What filtered tables lack and what they no longer need. A row of a filtered table belongs to the mirror if a chain of
 * foreign keys leads to it from a row of another table, as in a first sync.
 */
export function findClosure(
  db: SqliteDatabase,
  tables: readonly Table[],
  filtered: ReadonlySet<string>,
  { withPresent = new Set(), ofMerged, needed: given = new Map() }: ClosureOptions = {},
): FileClosure {
  const present = new Set(tables.filter((table) => db.hasTable(table.name)));
  db.exec(`DROP TABLE IF EXISTS temp.needed;
    CREATE TEMP TABLE needed (entity TEXT, id TEXT, depth INTEGER, PRIMARY KEY (entity, id)) WITHOUT ROWID`);
  for (const [name, ids] of given) {
    db.run('INSERT OR IGNORE INTO temp.needed SELECT ?, value, 0 FROM json_each(?)', [
      name,
      JSON.stringify(ids),
    ]);
  }
  for (const table of present) {
    if (ofMerged !== undefined) {
      addReferences(db, table, filtered, ofMerged.has(table.logicalName) ? 0 : 'merged');
    } else if (!filtered.has(table.logicalName)) addReferences(db, table, filtered, 0);
  }
  for (
    let depth = 1;
    db.get('SELECT 1 FROM temp.needed WHERE depth = ?', [depth - 1]) !== undefined;
    depth++
  ) {
    for (const table of present) {
      if (filtered.has(table.logicalName)) addReferences(db, table, filtered, depth);
    }
  }
  const missing = new Map<string, string[]>();
  const held = new Map<string, string[]>();
  const unneeded = new Map<string, string[]>();
  const own = new Set(tables.map(({ logicalName }) => logicalName));
  const outside = new Map<string, string[]>();
  for (const name of filtered) {
    if (own.has(name)) continue;
    const rows = db.all<{ id: string }>('SELECT id FROM temp.needed WHERE entity = ?', [name]);
    outside.set(
      name,
      rows.map(({ id }) => id),
    );
  }
  for (const table of tables) {
    const { logicalName } = table;
    if (!filtered.has(logicalName)) continue;
    const ids = (sql: string): string[] => db.all<{ id: string }>(sql, [logicalName]).map((row) => row.id);
    const needed = 'SELECT id FROM temp.needed WHERE entity = ?';
    if (!present.has(table)) {
      missing.set(logicalName, ids(`${needed} ORDER BY id`));
      continue;
    }
    // Rows that are marked as deleted count as absent, and stay.
    const key = quote(table.primaryKey);
    const name = `main.${quote(table.name)}`;
    const isPresent = `EXISTS (SELECT 1 FROM ${name} t WHERE t.${key} = needed.id${andLive(table, 't')})`;
    missing.set(logicalName, ids(`${needed} AND NOT ${isPresent} ORDER BY id`));
    if (withPresent.has(logicalName)) held.set(logicalName, ids(`${needed} AND ${isPresent} ORDER BY id`));
    const rows = `SELECT ${key} AS id FROM ${name}${liveRows(table)}`;
    const isUnneeded = `SELECT id FROM (${rows}) WHERE id NOT IN (${needed})`;
    unneeded.set(logicalName, ofMerged === undefined ? ids(isUnneeded) : []);
  }
  db.exec('DROP TABLE temp.needed');
  return { missing, present: held, unneeded, outside, isPartial: ofMerged !== undefined };
}

/**
 * Adds the ids of filtered tables that rows of `table` refer to.
 * @param from the length of the chains: 0 for those of all rows, `merged` for those of the rows that were merged in this
 * transaction, otherwise for those of the rows at the length before
 */
function addReferences(
  db: SqliteDatabase,
  table: Table,
  filtered: ReadonlySet<string>,
  from: number | 'merged',
): void {
  const depth = from === 'merged' ? 0 : from;
  for (const key of table.foreignKeys) {
    for (const target of key.targets) {
      if (!filtered.has(target)) continue;
      const column = quote(key.column);
      const conditions = [`${column} IS NOT NULL${andLive(table)}`];
      const parameters: (string | number)[] = [target, depth];
      if (key.typeColumn !== undefined) {
        // Without a recorded target every possible one is taken.
        conditions.push(`(${quote(key.typeColumn)} IS NULL OR ${quote(key.typeColumn)} = ?)`);
        parameters.push(target);
      }
      if (from === 'merged') {
        conditions.push(`${quote(table.primaryKey)} IN (SELECT id FROM temp.merged WHERE entity = ?)`);
        parameters.push(table.logicalName);
      }
      if (depth > 0) {
        const reached = 'SELECT id FROM temp.needed WHERE entity = ? AND depth = ?';
        conditions.push(`${quote(table.primaryKey)} IN (${reached})`);
        parameters.push(table.logicalName, depth - 1);
      }
      db.run(
        `INSERT OR IGNORE INTO temp.needed SELECT ?, ${column}, ? FROM main.${quote(table.name)}
         WHERE ${conditions.join(' AND ')}`,
        parameters,
      );
    }
  }
}
