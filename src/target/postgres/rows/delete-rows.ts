import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import { andLive, deletedAtColumn, hasMarks } from '../../common/mirror-table.ts';
import type { ChangesTable } from '../bookkeeping/changes-table.ts';
import { placementOf } from '../cluster/placements.ts';
import type { Session } from '../connection/session.ts';
import type { History } from './history.ts';
import type { TemporaryTables } from './temporary-tables.ts';

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
  /** Those of the transaction. */
  temporary: TemporaryTables;
  keyType: string;
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
  const doomed = await doomedRows(session, table, ids, options);
  const { count } = doomed;
  if (count === 0) return { deleted: 0, heldBack: 0 };
  const isAllowed = await isWithinLimit(session, table, count, options);
  if (isAllowed) await deleteDoomed(session, table, doomed, options);
  await doomed.forget();
  return isAllowed ? { deleted: count, heldBack: 0 } : { deleted: 0, heldBack: count };
}

interface DoomedRows {
  count: number;
  /** A SELECT of their ids, as the column `id`. */
  ids: string;
  /** That the row `t` is one of them. */
  condition: string;
  forget: () => Promise<void>;
}

async function doomedRows(
  session: Session,
  table: Table,
  ids: string,
  { temporary, keyType }: DeleteOptions,
): Promise<DoomedRows> {
  const key = `t.${quote(table.primaryKey)}`;
  const condition = `${key} IN (SELECT id FROM ${ids})${andLive(table, 't')}`;
  const rows = `FROM ${session.name(table.name)} t WHERE ${condition}`;
  if ((await placementOf(session, table.name)) === 'local') {
    const count = await session.number(`SELECT count(*) AS n ${rows}`);
    return { count, ids: `SELECT ${key} AS id ${rows}`, condition, forget: async () => undefined };
  }
  // Citus takes few conditions beside those about ids that are here.
  const found = await temporary.open('deleted_rows', `id ${keyType}`);
  const count = await session.run(`INSERT INTO ${found} SELECT ${key} ${rows}`);
  const ofFound = `SELECT id FROM ${found}`;
  return { count, ids: ofFound, condition: `${key} IN (${ofFound})`, forget: () => temporary.empty(found) };
}

async function isWithinLimit(
  session: Session,
  table: Table,
  count: number,
  { runId, massDeleteLimit, ...options }: DeleteOptions,
): Promise<boolean> {
  const earlier = await session.number(
    `SELECT count(*) AS n FROM ${session.name('_sync_deleted')} WHERE table_name = $1 AND run_id = $2`,
    [table.name, runId],
  );
  const rowsBefore = options.rowsBefore + earlier;
  const isLimited = massDeleteLimit < 1 && rowsBefore >= massDeleteMinimumRows;
  return !isLimited || earlier + count <= rowsBefore * massDeleteLimit;
}

async function deleteDoomed(
  session: Session,
  table: Table,
  { ids, condition }: DoomedRows,
  { runId, at, mark, history, changes }: DeleteOptions,
): Promise<void> {
  await session.run(
    // The place of a row that is replaced is the last one again: the retention relies on the order of time.
    `INSERT INTO ${session.name('_sync_deleted')} (table_name, id, deleted_at, run_id)
     SELECT $1::text, d.id::text, $2::timestamptz, $3::text FROM (${ids}) d
     ON CONFLICT (table_name, id) DO UPDATE SET deleted_at = excluded.deleted_at, run_id = excluded.run_id, place = DEFAULT`,
    [table.name, at, runId],
  );
  await history?.close(ids);
  const key = `t.${quote(table.primaryKey)}`;
  const name = session.name(table.name);
  const isMarked = mark && hasMarks(table);
  const sql = isMarked
    ? `UPDATE ${name} AS t SET ${quote(deletedAtColumn)} = $1 WHERE ${condition}`
    : `DELETE FROM ${name} AS t WHERE ${condition}`;
  const noting = await changes?.noting(table.logicalName, sql, key);
  await session.run(noting ?? sql, isMarked ? [at] : []);
}
