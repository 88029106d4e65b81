import type { Table } from '../../../schema/table.ts';
import { liveRows } from '../../common/mirror-table.ts';
import type { Session } from '../connection/session.ts';

/** The rows of the table that are not marked as deleted. */
export function countRows(session: Session, table: Table): Promise<number> {
  return session.number(`SELECT count(*) AS n FROM ${session.name(table.name)}${liveRows(table)}`);
}
