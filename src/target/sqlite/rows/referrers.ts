import { createHash } from 'node:crypto';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import { andLive } from '../mirror-table.ts';

/**
 * A digest for each id of the keys and versions of the rows that refer to it. A row that changes, comes or goes changes
 * it. Ids that nothing refers to have none.
 * @param target logical name of the table of the ids
 */
export function findReferrers(
  db: SqliteDatabase,
  tables: readonly Table[],
  target: string,
  ids: readonly string[],
): Map<string, string> {
  const sums = new Map<string, bigint>();
  if (ids.length === 0) return new Map();
  db.exec('DROP TABLE IF EXISTS temp.referred; CREATE TEMP TABLE referred (id TEXT PRIMARY KEY)');
  for (const id of ids) db.run('INSERT OR IGNORE INTO temp.referred VALUES (?)', [id]);
  for (const table of tables) {
    if (!db.hasTable(table.name)) continue;
    for (const { column, typeColumn, targets } of table.foreignKeys) {
      if (!targets.includes(target)) continue;
      const { versionColumn, primaryKey } = table;
      const version = versionColumn === undefined ? 'NULL' : `CAST(t.${quote(versionColumn)} AS TEXT)`;
      const type = typeColumn === undefined ? '' : ` AND coalesce(t.${quote(typeColumn)}, ?) = ?`;
      const rows = db.all<{ id: string; row: string; version: string | null }>(
        `SELECT r.id, t.${quote(primaryKey)} AS row, ${version} AS version
         FROM temp.referred r JOIN main.${quote(table.name)} t ON t.${quote(column)} = r.id
         WHERE true${andLive(table, 't')}${type}`,
        typeColumn === undefined ? [] : [target, target],
      );
      for (const { id, row, version } of rows) add(sums, id, `${table.name}|${column}|${row}|${version}`);
    }
  }
  db.exec('DROP TABLE temp.referred');
  return new Map([...sums].map(([id, sum]) => [id, sum.toString(16).padStart(16, '0')]));
}

/** Adds 64 bits of the hash of a text, so that the order of the rows does not matter. */
function add(sums: Map<string, bigint>, id: string, text: string): void {
  const hash = createHash('sha256').update(text).digest().readBigUInt64BE();
  sums.set(id, BigInt.asUintN(64, (sums.get(id) ?? 0n) + hash));
}
