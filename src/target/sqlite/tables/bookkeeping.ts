import type { Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import { emptyState, type State, type SyncLogRow, sourceOf, type TableState } from '../../state.ts';
import { currentTableState } from './earlier-state.ts';

/** The sync's own tables. Queries depend on the names of these tables and columns: do not change them. */
const bookkeepingTables = `
CREATE TABLE IF NOT EXISTS _sync_state (
  entity TEXT PRIMARY KEY NOT NULL,
  table_name TEXT NOT NULL,
  strategy TEXT NOT NULL,
  delta_link TEXT,
  watermark TEXT,
  rows INTEGER NOT NULL,
  synced_at TEXT NOT NULL,
  last_run TEXT NOT NULL,
  state TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS _sync_log (
  run_id TEXT NOT NULL,
  round INTEGER NOT NULL,
  entity TEXT NOT NULL,
  state TEXT NOT NULL,
  strategy TEXT NOT NULL,
  reason TEXT,
  started_at TEXT NOT NULL,
  finished_at TEXT NOT NULL,
  seconds REAL NOT NULL,
  rows_read INTEGER NOT NULL,
  added INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  unchanged INTEGER NOT NULL,
  pages INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  retries INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  error TEXT,
  hint TEXT,
  throttled INTEGER,
  waited_seconds REAL,
  wire_bytes INTEGER,
  PRIMARY KEY (run_id, round, entity)
);
CREATE TABLE IF NOT EXISTS _sync_schema_changes (
  at TEXT NOT NULL,
  run_id TEXT NOT NULL,
  table_name TEXT NOT NULL,
  column_name TEXT,
  change TEXT NOT NULL,
  detail TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS _sync_foreign_keys (
  table_name TEXT NOT NULL,
  column_name TEXT NOT NULL,
  target_table TEXT NOT NULL,
  type_column TEXT,
  source TEXT NOT NULL,
  PRIMARY KEY (table_name, column_name, target_table)
);
CREATE TABLE IF NOT EXISTS _sync_deleted (
  table_name TEXT NOT NULL,
  id TEXT NOT NULL,
  deleted_at TEXT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (table_name, id)
);
CREATE TABLE IF NOT EXISTS _sync_meta (
  name TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
);`;

/** Names in `_sync_meta`; `choices` says what `_choices` contains: JSON with a digest. */
export const choicesMeta = 'choices';
const sourceMeta = 'catalog';
const closureOpenMeta = 'closure-open';

/** Columns that files of version 0.1.0 lack. */
const laterColumns = ['throttled INTEGER', 'waited_seconds REAL', 'wire_bytes INTEGER'];

export function createBookkeeping(db: SqliteDatabase): void {
  db.exec(bookkeepingTables);
  const present = new Set(
    db.all<{ name: string }>("SELECT name FROM pragma_table_info('_sync_log')").map(({ name }) => name),
  );
  for (const column of laterColumns) {
    if (!present.has(column.split(' ')[0]!)) db.exec(`ALTER TABLE _sync_log ADD COLUMN ${column}`);
  }
}

export function readMeta(db: SqliteDatabase, name: string): string | undefined {
  return db.get<{ value: string }>('SELECT value FROM _sync_meta WHERE name = ?', [name])?.value;
}

export function writeMeta(db: SqliteDatabase, name: string, value: string): void {
  db.run(
    'INSERT INTO _sync_meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    [name, value],
  );
}

/** A table as the database has it. */
export function readTable(db: SqliteDatabase, entity: string): Table | undefined {
  if (!db.hasTable('_sync_state')) return undefined;
  const row = db.get<{ state: string }>('SELECT state FROM _sync_state WHERE entity = ?', [entity]);
  const table = row && currentTableState(JSON.parse(row.state)).table;
  return table && db.hasTable(table.name) ? table : undefined;
}

/** Reads the state from the database. */
export function readState(db: SqliteDatabase): State {
  const state = emptyState();
  if (db.get("SELECT 1 FROM main.sqlite_master WHERE name = '_sync_state'") === undefined) return state;
  // The owner may drop a table that is no longer configured.
  const present = `SELECT entity, state FROM _sync_state
    WHERE table_name IN (SELECT name FROM main.sqlite_master WHERE type = 'table')`;
  for (const row of db.all<{ entity: string; state: string }>(present)) {
    state.entities[row.entity] = currentTableState(JSON.parse(row.state));
  }
  const choices = readMeta(db, choicesMeta);
  return {
    ...state,
    ...JSON.parse(readMeta(db, sourceMeta) ?? '{}'),
    choices: choices && (JSON.parse(choices) as { digest: string }).digest,
    closureOpen: readMeta(db, closureOpenMeta) === 'true',
  };
}

/** Writes the state into the database. Call it in a transaction. */
export function writeState(db: SqliteDatabase, state: State, runId: string): void {
  for (const [name, entity] of Object.entries(state.entities)) writeTableState(db, name, entity, runId);
  writeMeta(db, sourceMeta, JSON.stringify(sourceOf(state)));
  writeMeta(db, closureOpenMeta, String(state.closureOpen === true));
}

/** Writes a table's state: the columns for people to query, and the whole as JSON. */
function writeTableState(db: SqliteDatabase, entity: string, state: TableState, runId: string): void {
  db.run(
    `INSERT INTO _sync_state (entity, table_name, strategy, delta_link, watermark, rows, synced_at, last_run, state)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (entity) DO UPDATE SET table_name = excluded.table_name, strategy = excluded.strategy,
       delta_link = excluded.delta_link, watermark = excluded.watermark, rows = excluded.rows,
       synced_at = excluded.synced_at, last_run = excluded.last_run, state = excluded.state`,
    [
      entity,
      state.table.name,
      state.strategy,
      state.deltaLink ?? null,
      state.watermark ?? null,
      state.rows,
      state.syncedAt,
      runId,
      JSON.stringify(state),
    ],
  );
}

/** Forgets tables that the owner of the database dropped. */
export function forgetDroppedTables(db: SqliteDatabase): void {
  const dropped = "NOT IN (SELECT name FROM main.sqlite_master WHERE type = 'table')";
  db.run(`DELETE FROM _sync_state WHERE table_name ${dropped}`);
  db.run(`DELETE FROM _sync_foreign_keys WHERE table_name ${dropped}`);
}

/**
 * Rows of narrow runs have row ids from here on, so that each kind of run has places of its own: many narrow runs displace
 * only each other, and nothing has to be counted. After a VACUUM they begin anew, next to the others.
 */
const firstOfNarrowRuns = 2 ** 40;
const logRanges = {
  all: [1, firstOfNarrowRuns - 1],
  narrow: [firstOfNarrowRuns, Number.MAX_SAFE_INTEGER],
} as const;

export function writeLog(db: SqliteDatabase, row: SyncLogRow): void {
  const [first, last] = logRanges[row.isNarrow ? 'narrow' : 'all'];
  db.run(
    `INSERT INTO _sync_log (rowid, run_id, round, entity, state, strategy, reason, started_at, finished_at, seconds, rows_read,
       added, updated, deleted, unchanged, pages, requests, retries, bytes, error, hint, throttled, waited_seconds, wire_bytes)
     VALUES ((SELECT coalesce(max(rowid) + 1, ?) FROM _sync_log WHERE rowid BETWEEN ? AND ?),
       ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (run_id, round, entity) DO NOTHING`,
    [
      first,
      first,
      last,
      row.runId,
      row.round,
      row.name,
      row.state,
      row.strategy,
      row.runs === undefined ? (row.reason ?? null) : `${row.reason ?? ''} (${row.runs} runs)`.trim(),
      row.startedAt,
      row.finishedAt,
      row.seconds,
      row.rowsRead,
      row.added,
      row.updated,
      row.deleted,
      row.unchanged,
      row.pages,
      row.requests,
      row.retries,
      row.bytes,
      row.error ?? null,
      row.hint ?? null,
      row.throttled ?? null,
      row.waitedSeconds ?? null,
      row.wireBytes ?? null,
    ],
  );
}

/** How long rows of `_sync_log` and of the other lists are kept, in days. */
const keptDays = { _sync_log: 30, _sync_deleted: 365, _sync_schema_changes: 365 };
const timeColumn = { _sync_log: 'finished_at', _sync_deleted: 'deleted_at', _sync_schema_changes: 'at' };
/** How many rows of each are kept at most. The latest stay. */
const keptRows = { _sync_deleted: 1_000_000, _sync_schema_changes: 5_000 };
const keptLogRows = { all: 20_000, narrow: 5_000 };

/**
 * Deletes what is too old or too much. Rows are added in the order of time, so it looks only at the first ones.
 * @param at the time of the merge: ISO 8601, UTC
 */
export function prune(db: SqliteDatabase, at: string): void {
  for (const kind of ['all', 'narrow'] as const)
    pruneRange(db, at, '_sync_log', keptLogRows[kind], logRanges[kind]);
  for (const table of ['_sync_deleted', '_sync_schema_changes'] as const)
    pruneRange(db, at, table, keptRows[table], [1, Number.MAX_SAFE_INTEGER]);
}

function pruneRange(
  db: SqliteDatabase,
  at: string,
  table: keyof typeof timeColumn,
  kept: number,
  [first, last]: readonly [first: number, last: number],
): void {
  const since = new Date(Date.parse(at) - keptDays[table] * 86_400_000).toISOString();
  const within = 'rowid BETWEEN ? AND ?';
  const latest = db.get<{ id: number | null }>(`SELECT max(rowid) AS id FROM ${table} WHERE ${within}`, [
    first,
    last,
  ])!.id;
  if (latest === null) return;
  const firstKept = `SELECT rowid AS id FROM ${table} WHERE ${within} AND ${timeColumn[table]} >= ? ORDER BY rowid LIMIT 1`;
  const byTime = db.get<{ id: number }>(firstKept, [first, latest, since])?.id ?? latest + 1;
  const before = Math.max(byTime, latest - kept + 1);
  db.run(`DELETE FROM ${table} WHERE ${within}`, [first, before - 1]);
}

/** Every foreign key between mirrored tables, one row per possible target. */
export function writeForeignKeys(db: SqliteDatabase, tables: readonly Table[]): void {
  const names = new Map(tables.map((table) => [table.logicalName, table.name]));
  for (const table of tables) {
    db.run('DELETE FROM _sync_foreign_keys WHERE table_name = ?', [table.name]);
    for (const key of table.foreignKeys) {
      for (const target of key.targets) {
        db.run(
          `INSERT INTO _sync_foreign_keys (table_name, column_name, target_table, type_column, source)
           VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
          [table.name, key.column, names.get(target) ?? target, key.typeColumn ?? null, key.source],
        );
      }
    }
  }
}
