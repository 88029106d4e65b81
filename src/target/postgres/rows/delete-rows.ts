import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import { andLive, deletedAtColumn, hasMarks } from '../../common/mirror-table.ts';
import type { ChangesTable } from '../bookkeeping/changes-table.ts';
import type { Session } from '../connection/session.ts';
import type { History } from './history.ts';

export interface DeleteOptions {
  runId: string;
  /** The time of the merge for history, tombstones and marks: ISO 8601, UTC. */
  at: string;
  /** Rows in the table before this merge; those only marked as deleted do not count. */
  rowsBefore: number;
  /** The share of the rows that one run may delete. Tables of fewer than 20 rows are exempt. */
  massDeleteLimit: number;
  /** Keep the rows of a table with marks and mark them, because Dataverse deleted them. */
  mark: boolean;
  history: History | undefined;
  /** Notes which rows change, if that is wanted. */
  changes?: ChangesTable | undefined;
}

/** A table with fewer rows than this can lose all of them: a share of so few rows says nothing. */
const massDeleteMinimumRows = 20;

/**
 * Deletes rows of a mirrored table. Nothing else deletes rows that readers see, so each delete passes the limit and leaves a
 * tombstone. Deletes of earlier rounds of the run count, too.
 * @param ids the table with the ids, in its column `id`
 * @returns how many rows were deleted, or else how many exceed the limit, in which case none was deleted
 */
export async function deleteRows(
  session: Session,
  table: Table,
  ids: string,
  options: DeleteOptions,
): Promise<{ deleted: number; heldBack: number }> {
  const { runId, at, massDeleteLimit, history } = options;
  const name = session.name(table.name);
  const key = quote(table.primaryKey);
  const condition = `t.${key} IN (SELECT id FROM ${ids})${andLive(table, 't')}`;
  const count = await session.number(`SELECT count(*) AS n FROM ${name} t WHERE ${condition}`);
  if (count === 0) return { deleted: 0, heldBack: 0 };
  const tombstones = session.name('_sync_deleted');
  const earlier = await session.number(
    `SELECT count(*) AS n FROM ${tombstones} WHERE table_name = $1 AND run_id = $2`,
    [table.name, runId],
  );
  const rowsBefore = options.rowsBefore + earlier;
  const isLimited = massDeleteLimit < 1 && rowsBefore >= massDeleteMinimumRows;
  if (isLimited && earlier + count > rowsBefore * massDeleteLimit) return { deleted: 0, heldBack: count };
  await session.run(
    // The place of a row that is replaced is the last one again: the retention relies on the order of time.
    `INSERT INTO ${tombstones} (table_name, id, deleted_at, run_id)
     SELECT $1::text, t.${key}::text, $2::timestamptz, $3::text FROM ${name} t WHERE ${condition}
     ON CONFLICT (table_name, id) DO UPDATE SET deleted_at = excluded.deleted_at, run_id = excluded.run_id, place = DEFAULT`,
    [table.name, at, runId],
  );
  await history?.close(`SELECT t.${key} AS id FROM ${name} t WHERE ${condition}`);
  const isMarked = options.mark && hasMarks(table);
  const sql = isMarked
    ? `UPDATE ${name} AS t SET ${quote(deletedAtColumn)} = $1 WHERE ${condition}`
    : `DELETE FROM ${name} AS t WHERE ${condition}`;
  const noting = await options.changes?.noting(table.logicalName, sql, `t.${key}`);
  await session.run(noting ?? sql, isMarked ? [at] : []);
  return { deleted: count, heldBack: 0 };
}
