import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import { liveRows } from '../../common/mirror-table.ts';

/** The rows of the table that are not marked as deleted. */
export function countRows(db: SqliteDatabase, table: Table): number {
  return db.get<{ n: number }>(`SELECT count(*) AS n FROM main.${quote(table.name)}${liveRows(table)}`)!.n;
}
