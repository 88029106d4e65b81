import { quoteIdentifier as quote } from '../../schema/sql.ts';
import type { Table } from '../../schema/table.ts';
import { DigestSum } from '../../sqlite/row-digest.ts';
import type { SqliteDatabase } from '../../sqlite/sqlite-database.ts';
import { deletedAtColumn } from './mirror-table.ts';

/** The digest of keys and versions of the rows in the database, as the record writer makes it of rows read. */
export function digestFromDatabase(db: SqliteDatabase, table: Table, since?: string): string | undefined {
  const version = table.versionColumn;
  if (version === undefined) return undefined;
  const conditions: string[] = [];
  if (table.columns.some((column) => column.name === deletedAtColumn))
    conditions.push(`${quote(deletedAtColumn)} IS NULL`);
  const modified = table.modifiedOnColumn;
  if (since !== undefined && modified !== undefined) {
    // Text order is time order but for fractions of a second, so compare the whole seconds.
    conditions.push(`substr(${quote(modified)}, 1, 19) >= substr('${since}', 1, 19)`);
  }
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const rows = db.all<{ id: string; version: string | null }>(
    `SELECT ${quote(table.primaryKey)} AS id, CAST(${quote(version)} AS TEXT) AS version FROM main.${quote(table.name)}${where}`,
  );
  const sum = new DigestSum();
  for (const { id, version: digits } of rows) sum.add(Buffer.from(`${id}|${digits ?? ''}`));
  return sum.toString();
}
