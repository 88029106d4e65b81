import { quoteIdentifier as quote, quoteText } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import { DigestSum } from '../../../sqlite/row-digest.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import { andLive } from '../../common/mirror-table.ts';

/**
 * The digest of the keys and versions of the rows in the database: the same that the record writer computes of the rows
 * that it reads. Undefined for a table without versions.
 * @param since only rows modified at this time or later
 */
export function digestFromDatabase(db: SqliteDatabase, table: Table, since?: string): string | undefined {
  const { versionColumn, modifiedOnColumn } = table;
  if (versionColumn === undefined) return undefined;
  // Text order is time order except for fractions of a second, so compare whole seconds.
  const modified =
    since === undefined || modifiedOnColumn === undefined
      ? 'true'
      : `substr(${quote(modifiedOnColumn)}, 1, 19) >= ${quoteText(since.slice(0, 19))}`;
  const rows = db.all<{ id: string; version: string | null }>(
    `SELECT ${quote(table.primaryKey)} AS id, CAST(${quote(versionColumn)} AS TEXT) AS version
     FROM main.${quote(table.name)} WHERE ${modified}${andLive(table)}`,
  );
  const sum = new DigestSum();
  for (const { id, version } of rows) sum.add(Buffer.from(`${id}|${version ?? ''}`));
  return sum.toString();
}
