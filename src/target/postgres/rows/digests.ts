import { createHash } from 'node:crypto';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import { DigestSum } from '../../../sqlite/row-digest.ts';
import { andLive } from '../../common/mirror-table.ts';
import type { Referrers } from '../../mirror-target.ts';
import type { Session } from '../connection/session.ts';
import { hasTable } from '../schema/stored-columns.ts';

/**
 * The digest of the keys and versions of the rows in the database: the same that the record writer computes of the rows
 * that it reads. Undefined for a table without versions.
 * @param since only rows modified at this time or later
 */
export async function contentDigest(
  session: Session,
  table: Table,
  since?: string,
): Promise<string | undefined> {
  const { versionColumn, modifiedOnColumn, primaryKey } = table;
  if (versionColumn === undefined) return undefined;
  const isLimited = since !== undefined && modifiedOnColumn !== undefined;
  // Whole seconds, as in the filters of queries.
  const modified = isLimited ? `date_trunc('second', ${quote(modifiedOnColumn)}) >= $1` : 'true';
  const rows = await session.all<{ id: string; version: string | null }>(
    `SELECT ${quote(primaryKey)}::text AS id, ${quote(versionColumn)}::text AS version
     FROM ${session.name(table.name)} WHERE ${modified}${andLive(table)}`,
    isLimited ? [`${since.slice(0, 19)}Z`] : [],
  );
  const sum = new DigestSum();
  for (const { id, version } of rows) sum.add(Buffer.from(`${id}|${version ?? ''}`));
  return sum.toString();
}

/**
 * Digests of the rows that refer to ids, by the logical name of their table and by id: of how many they are, and of their
 * keys and versions. A row that changes, comes or goes changes them.
 * @param target logical name of the table of the ids
 */
export async function findReferrers(
  session: Session,
  tables: readonly Table[],
  target: string,
  ids: readonly string[],
): Promise<Referrers> {
  const result = new Map<string, Map<string, bigint>>();
  if (ids.length === 0) return result;
  for (const table of tables) {
    if (!(await hasTable(session, table.name))) continue;
    const sums = new Map<string, bigint>();
    const version =
      table.versionColumn === undefined ? `''` : `coalesce(t.${quote(table.versionColumn)}::text, '')`;
    for (const { column, typeColumn, targets } of table.foreignKeys) {
      const type = table.columns.find(({ name }) => name === column)?.reading === 'guid' ? 'uuid' : 'text';
      if (!targets.includes(target)) continue;
      const isTarget = typeColumn === undefined ? '' : ` AND coalesce(t.${quote(typeColumn)}, $2) = $2`;
      const rows = await session.all<{ id: string; digest: string }>(
        `SELECT t.${quote(column)}::text AS id, count(*) || ' ' || sum(
           hashtextextended(t.${quote(table.primaryKey)}::text || ' ' || ${version}, 0)::numeric) AS digest
         FROM ${session.name(table.name)} t
         WHERE t.${quote(column)} = ANY ($1::text[]::${type}[])${andLive(table, 't')}${isTarget} GROUP BY t.${quote(column)}`,
        typeColumn === undefined ? [ids] : [ids, target],
      );
      for (const { id, digest } of rows) {
        const hash = hashOf(`${table.name}|${column}|${digest}`);
        sums.set(id, BigInt.asUintN(64, (sums.get(id) ?? 0n) + hash));
      }
    }
    result.set(table.logicalName, sums);
  }
  return result;
}

function hashOf(text: string): bigint {
  return createHash('sha256').update(text).digest().readBigUInt64BE();
}
