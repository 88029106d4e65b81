import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import { liveRows } from '../../common/mirror-table.ts';
import type { Session } from '../connection/session.ts';

/** The rows of the table that are not marked as deleted. */
export function countRows(session: Session, table: Table): Promise<number> {
  return session.number(`SELECT count(*) AS n FROM ${session.name(table.name)}${liveRows(table)}`);
}

/** The ids of all rows that are not marked as deleted, in the order of their characters. */
export async function rowIds(session: Session, table: Table): Promise<string[]> {
  const rows = await session.all<{ id: string }>(
    `SELECT ${quote(table.primaryKey)}::text COLLATE "C" AS id FROM ${session.name(table.name)}${liveRows(table)} ORDER BY 1`,
  );
  return rows.map(({ id }) => id);
}
