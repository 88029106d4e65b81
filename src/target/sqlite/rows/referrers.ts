import { createHash } from 'node:crypto';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import { andLive, versionColumn as ownVersion } from '../../common/mirror-table.ts';
import type { Referrers } from '../../mirror-target.ts';

/**
 * Digests of the rows that refer to ids, by the logical name of their table and by id: of how many they are, of their
 * versions and of their places in the table. A row that changes, comes or goes changes them. SQLite adds up the rows:
 * hundreds of thousands may refer to one id, as to a user that owned everything.
 * @param target logical name of the table of the ids
 */
export function findReferrers(
  db: SqliteDatabase,
  tables: readonly Table[],
  target: string,
  ids: readonly string[],
): Referrers {
  const result = new Map<string, Map<string, bigint>>();
  if (ids.length === 0) return result;
  db.exec(`DROP TABLE IF EXISTS temp.referred;
    CREATE TEMP TABLE referred (id TEXT PRIMARY KEY) WITHOUT ROWID`);
  db.run('INSERT OR IGNORE INTO temp.referred SELECT value FROM json_each(?)', [JSON.stringify(ids)]);
  for (const table of tables) {
    if (!db.hasTable(table.name)) continue;
    const sums = new Map<string, bigint>();
    // With a limit, SQLite computes this longer expression once for each row.
    const limit = table.versionColumn === ownVersion ? ' LIMIT -1' : '';
    for (const { column, typeColumn, targets } of table.foreignKeys) {
      if (!targets.includes(target)) continue;
      const type = typeColumn === undefined ? '' : ` AND coalesce(t.${quote(typeColumn)}, ?) = ?`;
      const rows = db.all<{ id: string; digest: string }>(
        `SELECT id, count(*) || ' ' || sum(version & ${bits(32)}) || ' ' || sum(version >> 32) || ' '
           || sum((version & ${bits(30)}) * (place & ${bits(30)}) & ${bits(32)}) AS digest
         FROM (SELECT r.id, ${versionSql(table)} AS version, t._rowid_ AS place
           FROM temp.referred r CROSS JOIN main.${quote(table.name)} t ON t.${quote(column)} = r.id
           WHERE true${andLive(table, 't')}${type}${limit})
         GROUP BY id`,
        typeColumn === undefined ? [] : [target, target],
      );
      for (const { id, digest } of rows) {
        const hash = hashOf(`${table.name}|${column}|${digest}`);
        sums.set(id, BigInt.asUintN(64, (sums.get(id) ?? 0n) + hash));
      }
    }
    result.set(table.logicalName, sums);
  }
  db.exec('DROP TABLE temp.referred');
  return result;
}

/** The integer with so many low bits set: sums of such parts cannot overflow. */
function bits(count: number): number {
  return 2 ** count - 1;
}

/** The version of the row `t` as an integer. Versions of our own are text, and may be hashes: their end tells them apart. */
function versionSql({ versionColumn }: Table): string {
  if (versionColumn === undefined) return '0';
  const version = `t.${quote(versionColumn)}`;
  if (versionColumn !== ownVersion) return `coalesce(${version}, 0)`;
  const places = Array.from(
    { length: 6 },
    (_, n) => `coalesce(unicode(substr(${version}, ${-1 - n}, 1)), 0) * ${128 ** n}`,
  );
  return `(${places.join(' + ')})`;
}

function hashOf(text: string): bigint {
  return createHash('sha256').update(text).digest().readBigUInt64BE();
}
