/**
 * What is known about the mirror between runs: a cursor for each table, and what the tables were made from. It is stored
 * together with the rows, so that cursors and rows always belong together. Plain data.
 */
import type { StrategyName } from '../config/strategies.ts';
import type { QueryOption } from '../dataverse/read/page.ts';
import type { Failure } from '../errors.ts';
import type { Table } from '../schema/table.ts';

export interface TableState {
  /** The table as the mirror holds it. */
  table: Table;
  strategy: StrategyName;
  /** The delta link that the next run reads. */
  deltaLink?: string;
  /** The row version in the latest delta link, also once that link is given up. Text, because it can exceed 2^53. */
  deltaVersion?: string;
  /** The greatest modifiedon that was read, at most the time at which the last read began. */
  watermark?: string;
  /**
   * What the last read for changes had reached: when it began, by the clock of Dataverse if that is known (ISO 8601, UTC),
   * and the greatest row version that reads showed until then, as text. Nothing else tells later whether the mirror should
   * have a row: its own rows may be damaged. Absent from earlier versions.
   */
  reached?: { at: string; version?: string | undefined };
  /**
   * Digests of the rows modified at or after `from`: of their keys and versions, and of all their values if the rows
   * were read. A read of the same window with the same digests brings nothing new.
   */
  window?: { from: string; digest: string; values?: string };
  /** Digest of the keys and versions of all rows, as Dataverse showed them last. */
  contentDigest?: string;
  /** Digest of all values of all rows, if the last read was of all of them. */
  valuesDigest?: string;
  rows: number;
  /** Bytes of a row in JSON, by which pages are sized; 0 if the table was empty when all of it was read. */
  rowBytes?: number;
  /**
   * The last comparison of all keys has consequences that are not in the mirror: deletes were held back, or rows that it
   * missed were not read. The next run compares again.
   */
  sweepAgain?: 'deletes' | 'rows';
  /**
   * The last comparison of all rows failed, or would have deleted too many rows: what to tell people until one succeeds,
   * and when that was (ISO 8601, UTC).
   */
  uncompared?: Failure & { at: string };
  /** Runs since all keys were compared. */
  runsSinceSweep: number;
  /** When the read that compared all keys last began, of values or not: ISO 8601, UTC. Absent from earlier versions. */
  sweptAt?: string;
  /** How many rows more than the mirror Dataverse counted, when a comparison that the count asked for was over. */
  miscount?: number;
  /** When the read that compared all keys last began: ISO 8601, UTC. */
  comparedAt?: string;
  /** When the last read without an error began: ISO 8601, UTC. */
  syncedAt: string;
  /**
   * Dataverse refused better strategies: the reason, and when to try them again. States of earlier versions do not name
   * them; it was change tracking.
   */
  fallback?: { reason: string; until: string; refused?: StrategyName[] };
  /** Options of queries that Dataverse rejected for this table, and when to try them again. */
  refusedOptions?: { options: QueryOption[]; until: string };
  /** Whether the last merge kept the history of the table; false if it was kept before that. */
  history?: boolean;
  /** Why all rows are to be read again, whatever the cursors say. It stays until a read of all rows is merged. */
  reread?: string;
  /** Of a filtered table: the blob with the ids that the mirror holds. */
  storedIds?: string;
  /**
   * Of a filtered table: the blob with the ids that rows refer to and that Dataverse does not have, when Dataverse was
   * asked for all of them, and from when on it is to be asked for some of them again, because references changed.
   */
  absentIds?: { list: string; askedAt: string; againAt?: string };
}

/** One of several database files. */
export interface DatabaseState {
  etag: string;
  bytes: number;
  /** References of its rows whose target is absent, as they were counted last. */
  dangling?: number;
}

export interface State {
  /**
   * The ETag and the size in bytes of the database that this describes; absent while there is none. Of several files: all
   * their ETags in one text, and the sum of their sizes.
   */
  databaseEtag?: string;
  databaseBytes?: number;
  /** The database files by name, if there are others than the default one. */
  databases?: Record<string, DatabaseState>;
  /** Tables that were moved to another database, as the one from before still has them. The next commit drops them there. */
  leftovers?: Table[];
  /** The metadata version of Dataverse, and the digest of the catalog that was made from this metadata. */
  metadataVersion?: string;
  catalog?: string;
  /** The organisation that Dataverse named when the catalog was made, if it did. */
  organizationId?: string;
  /** Digest of entities.json as it was when the catalog was made. */
  configDigest?: string;
  /** Logical names of the configured tables. Others in the mirror keep the rows of their last sync. */
  configured?: string[];
  /** Digest of the labels in the mirror. */
  choices?: string;
  /** When labels and attributes are to be read again, because some are missing: ISO 8601, UTC. */
  labelsAgainAt?: string;
  /** Names the schema report that the last run found or stored, by what it was made from; absent if it warns of something. */
  schemaReport?: string;
  /**
   * The tables of the mirror whose files are kept, and the ETag of the database when the last of their files was there. If there are several
   * databases: the ETag of each that has files or such tables, empty while files are missing. Without `databases`, each of
   * them can have files.
   */
  files?: { entities: string[]; etag?: string | undefined; databases?: Record<string, string> };
  /** Filtered tables lack rows, or hold too many: a table failed, or a run ended before its last round. */
  closureOpen?: boolean;
  /** By logical name. */
  entities: Record<string, TableState>;
  /** Log rows of runs that changed nothing, those of one day together. The next commit writes them to the mirror. */
  pendingLog: SyncLogRow[];
}

/** The members of the state that say what the mirror was made from. Plans have them, and the database keeps a copy. */
const sourceMembers = [
  'catalog',
  'configDigest',
  'configured',
  'labelsAgainAt',
  'metadataVersion',
  'organizationId',
] as const satisfies (keyof State)[];

export type Source = Pick<State, (typeof sourceMembers)[number]>;

/** These members alone. The next run compares them, to know what it must read again. */
export function sourceOf(from: Source): Source {
  return Object.fromEntries(sourceMembers.map((name) => [name, from[name]]));
}

/** Whether no table was read in this hour yet: idle runs do once an hour what they need not do each time. */
export function isFirstOfHour({ entities }: State, now: Date): boolean {
  const hour = now.toISOString().slice(0, 13);
  return !Object.values(entities).some(({ syncedAt }) => syncedAt.startsWith(hour));
}

export const emptyState = (): State => ({ entities: {}, pendingLog: [] });

/**
 * The state of a table if the mirror holds it in the database that it is to be in. A table that moves to another one is
 * new there.
 */
export function stateIn({ entities }: Pick<State, 'entities'>, table: Table): TableState | undefined {
  const known = entities[table.logicalName];
  return known?.table.database === table.database ? known : undefined;
}

/** The tables that the mirror holds. */
export function tablesOf(state: State): Table[] {
  return Object.values(state.entities).map(({ table }) => table);
}

/** The tables that the mirror holds and that are configured. */
export function configuredTables(state: State): Table[] {
  const { configured } = state;
  const tables = tablesOf(state);
  return configured === undefined
    ? tables
    : tables.filter(({ logicalName }) => configured.includes(logicalName));
}

/** How many log rows wait in the state for the next commit, at most: every run writes the state. */
const maxPendingLog = 40;

/**
 * The state with more log rows for the next commit. Rows of one day that say the same of a table become one: the latest,
 * with the sums of their figures. Without that, idle runs would fill the state.
 */
export function withPendingLog(state: State, rows: readonly SyncLogRow[]): State {
  const pending = new Map<string, SyncLogRow>();
  for (const row of [...state.pendingLog, ...rows]) {
    const { name, state: merged, strategy, error, reason } = row;
    // The row of several tables says in its reason which these are, if they are not all.
    const which = name === '*' ? reason?.split(': ')[1] : undefined;
    const key = [row.startedAt.slice(0, 10), name, merged, strategy, error, which].join('\0');
    const before = pending.get(key);
    // The latest one comes last.
    pending.delete(key);
    pending.set(key, before === undefined ? row : addLogRow(before, row));
  }
  return { ...state, pendingLog: latestOf([...pending.values()]) };
}

/** The rows that fit. Quiet tables of narrow runs, of which there are many subsets, displace only each other. */
function latestOf(rows: readonly SyncLogRow[]): SyncLogRow[] {
  let excess = rows.length - maxPendingLog;
  const isDropped = ({ name, isNarrow }: SyncLogRow) => name === '*' && isNarrow === true && excess-- > 0;
  const rest = rows.filter((row) => !isDropped(row));
  return rest.slice(-maxPendingLog);
}

function addLogRow(before: SyncLogRow, now: SyncLogRow): SyncLogRow {
  const sum = (name: keyof ReadFigures): number => (before[name] ?? 0) + (now[name] ?? 0);
  return {
    ...now,
    startedAt: before.startedAt,
    runs: (before.runs ?? 1) + (now.runs ?? 1),
    rowsRead: sum('rowsRead'),
    pages: sum('pages'),
    requests: sum('requests'),
    retries: sum('retries'),
    bytes: sum('bytes'),
    seconds: sum('seconds'),
    throttled: sum('throttled'),
    waitedSeconds: sum('waitedSeconds'),
    wireBytes: sum('wireBytes'),
  };
}

/** The state as it was read, with what tells whether it has changed since. */
export interface LoadedState {
  state: State;
  /** Undefined if no state is stored. */
  etag: string | undefined;
}

/** Figures of reading; they add up over slices, tables and runs. */
export interface ReadFigures {
  rowsRead: number;
  pages: number;
  requests: number;
  retries: number;
  bytes: number;
  seconds: number;
  /** Responses with status 429. Absent from earlier versions, as are the next two. */
  throttled?: number;
  /** Seconds of waiting for Dataverse: before retries, in line for a request, and in the queue. */
  waitedSeconds?: number;
  /** Bytes as transferred; `bytes` are those after decompression. */
  wireBytes?: number;
}

/** Rows by what a merge did with them. */
export interface MergeFigures {
  added: number;
  updated: number;
  deleted: number;
  /** Rows in the table that were neither added nor updated. */
  unchanged: number;
}

/** One row of `_sync_log`: what one round did with one table. */
export interface SyncLogRow extends ReadFigures, MergeFigures {
  runId: string;
  round: number;
  /** The table's logical name; `*` for all tables that the round left as they were. */
  name: string;
  state: string;
  /** A `StrategyName`, or `*`. */
  strategy: string;
  /** Whether the run was of some tables alone. */
  isNarrow?: boolean;
  /** How many runs the row stands for, if not for one. */
  runs?: number;
  reason?: string;
  startedAt: string;
  finishedAt: string;
  error?: string;
  hint?: string;
}

/** What a commit stored. */
export interface DatabaseReport {
  /** Of all files together. */
  bytes: number;
  stagedBlocks: number;
  stagedBytes: number;
  etag: string;
}

/** The report of a run that left the databases as they are. */
export function unchangedReport({
  databaseEtag: etag = '',
  databaseBytes: bytes = 0,
}: State): DatabaseReport {
  return { bytes, stagedBlocks: 0, stagedBytes: 0, etag };
}

/**
 * What the state keeps of a comparison of files.
 * @param state with the ETags of the databases that were compared
 */
export function comparedFiles(
  {
    entities,
    areComplete,
    databases,
  }: { entities: string[]; areComplete: boolean; databases?: string[] | undefined },
  state: State,
): NonNullable<State['files']> {
  if (databases === undefined) return { entities, etag: areComplete ? state.databaseEtag : undefined };
  const etagOf = (name: string) => (areComplete ? (state.databases?.[name]?.etag ?? '') : '');
  return { entities, databases: Object.fromEntries(databases.map((name) => [name, etagOf(name)])) };
}
