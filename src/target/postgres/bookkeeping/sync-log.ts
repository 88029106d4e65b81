import type { SyncLogRow } from '../../state.ts';
import type { Session } from '../connection/session.ts';
import { storableJson } from '../connection/storable-text.ts';

/** How long rows are kept, in days, and how many of each list at most. The latest stay. */
const lists = [
  { table: '_sync_log', time: 'finished_at', days: 30, rows: 20_000, which: 'NOT is_narrow' },
  { table: '_sync_log', time: 'finished_at', days: 30, rows: 5_000, which: 'is_narrow' },
  { table: '_sync_deleted', time: 'deleted_at', days: 365, rows: 1_000_000, which: 'true' },
  { table: '_sync_schema_changes', time: 'at', days: 365, rows: 5_000, which: 'true' },
];

export async function writeLog(session: Session, rows: readonly SyncLogRow[]): Promise<void> {
  const records = rows.map((row) => ({
    run_id: row.runId,
    round: row.round,
    entity: row.name,
    state: row.state,
    strategy: row.strategy,
    reason: row.runs === undefined ? row.reason : `${row.reason ?? ''} (${row.runs} runs)`.trim(),
    started_at: row.startedAt,
    finished_at: row.finishedAt,
    seconds: row.seconds,
    rows_read: row.rowsRead,
    added: row.added,
    updated: row.updated,
    deleted: row.deleted,
    unchanged: row.unchanged,
    pages: row.pages,
    requests: row.requests,
    retries: row.retries,
    bytes: row.bytes,
    error: row.error,
    hint: row.hint,
    throttled: row.throttled,
    waited_seconds: row.waitedSeconds,
    wire_bytes: row.wireBytes,
    is_narrow: row.isNarrow === true,
  }));
  if (records.length === 0) return;
  const columns = Object.keys(records[0]!).join(', ');
  const name = session.name('_sync_log');
  await session.run(
    `INSERT INTO ${name} (${columns}) SELECT ${columns} FROM json_populate_recordset(NULL::${name}, $1::json)
     ON CONFLICT (run_id, round, entity) DO NOTHING`,
    [storableJson(records)],
  );
}

/** The rows of longer lists are not counted in each commit: their places tell how many they can be, as in SQLite. */
const countedRows = 100_000;

/** Deletes what is too old or too much. @param at the time of the merge: ISO 8601, UTC */
export async function prune(session: Session, at: string): Promise<void> {
  for (const { table, time, days, rows, which } of lists) {
    const name = session.name(table);
    const since = new Date(Date.parse(at) - days * 86_400_000).toISOString();
    await session.run(`DELETE FROM ${name} WHERE ${which} AND ${time} < $1`, [since]);
    if (rows >= countedRows) {
      const last = await session.number(`SELECT max(place) AS n FROM ${name}`);
      // As a parameter, so that the server sees how few rows it is about, and takes the index.
      await session.run(`DELETE FROM ${name} WHERE ${which} AND place <= $1`, [last - rows]);
      continue;
    }
    const latest = `SELECT place FROM ${name} WHERE ${which} ORDER BY place DESC OFFSET ${rows} LIMIT 1`;
    await session.run(`DELETE FROM ${name} WHERE ${which} AND place <= (${latest})`);
  }
}
