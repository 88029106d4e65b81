import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import { andLive, deletedAtColumn, hasMarks } from '../../common/mirror-table.ts';
import type { ChangesTable } from '../tables/changes-table.ts';
import type { openHistory } from './history.ts';

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
  /** Notes which rows change, if that is wanted. */
  changes?: ChangesTable | undefined;
  history: ReturnType<typeof openHistory> | undefined;
}

/** A table with fewer rows than this can lose all of them: a share of so few rows says nothing. */
const massDeleteMinimumRows = 20;

/**
 * Deletes rows of a mirrored table. Nothing else in this project deletes rows that readers see, so each delete passes
 * the limit and leaves a tombstone. Deletes of earlier rounds of the run count, too.
 * @param ids a SELECT of the ids
 * @returns how many rows were deleted, or else how many exceed the limit, in which case none was deleted
 */
export function deleteRows(
  db: SqliteDatabase,
  table: Table,
  ids: string,
  options: DeleteOptions,
): { deleted: number; heldBack: number } {
  const { runId, at, massDeleteLimit, history } = options;
  const name = `main.${quote(table.name)}`;
  const key = quote(table.primaryKey);
  const condition = `${key} IN (${ids})${andLive(table)}`;
  const count = db.get<{ n: number }>(`SELECT count(*) AS n FROM ${name} WHERE ${condition}`)!.n;
  if (count === 0) return { deleted: 0, heldBack: 0 };
  const earlier = deletedBefore(db, table, runId);
  const rowsBefore = options.rowsBefore + earlier;
  const isLimited = massDeleteLimit < 1 && rowsBefore >= massDeleteMinimumRows;
  if (isLimited && earlier + count > rowsBefore * massDeleteLimit) return { deleted: 0, heldBack: count };
  db.run(
    // A row that is replaced is the last one again: the retention relies on the order of time.
    `INSERT OR REPLACE INTO _sync_deleted (table_name, id, deleted_at, run_id) SELECT ?, ${key}, ?, ? FROM ${name}
     WHERE ${condition}`,
    [table.name, at, runId],
  );
  history?.close(condition);
  options.changes?.record(table.logicalName, `SELECT ${key} AS id FROM ${name} WHERE ${condition}`);
  if (options.mark && hasMarks(table)) {
    db.run(`UPDATE ${name} SET ${quote(deletedAtColumn)} = ? WHERE ${condition}`, [at]);
  } else {
    db.run(`DELETE FROM ${name} WHERE ${condition}`);
  }
  return { deleted: count, heldBack: 0 };
}

/** How many rows this run has deleted from the table: its tombstones are the last ones, so it looks at no others. */
function deletedBefore(db: SqliteDatabase, table: Table, runId: string): number {
  const last = db.get<{ id: number }>(
    'SELECT rowid AS id FROM _sync_deleted WHERE run_id <> ? ORDER BY rowid DESC LIMIT 1',
    [runId],
  );
  return db.get<{ n: number }>(
    'SELECT count(*) AS n FROM _sync_deleted NOT INDEXED WHERE rowid > ? AND table_name = ? AND run_id = ?',
    [last?.id ?? 0, table.name, runId],
  )!.n;
}

/**
 * Removes the rows that are only marked as deleted, once `deletes: "mark"` is given up. They were deleted under the
 * limit when they were marked, and have their tombstones.
 */
export function removeMarkedRows(db: SqliteDatabase, table: Table): void {
  db.run(`DELETE FROM main.${quote(table.name)} WHERE ${quote(deletedAtColumn)} IS NOT NULL`);
}
