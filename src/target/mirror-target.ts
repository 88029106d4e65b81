import type { TableConfig } from '../config/entities.ts';
import type { SkipTableError } from '../errors.ts';
import type { SchemaChange } from '../schema/migration.ts';
import type { Table } from '../schema/table.ts';
import type { ChangePoint, MirrorNews, RowsPage, RowsRequest, Tracking } from './changes.ts';
import type { Labels } from './labels.ts';
import type { CheckOptions, CheckProgress, CheckStep, DanglingKey } from './mirror-check.ts';
import type { MirrorContents } from './mirror-contents.ts';
import type { DatabaseReport, LoadedState, State, SyncLogRow } from './state.ts';

export type { Labels, TableNames } from './labels.ts';

/** What receives the rounds of runs. Every call can be repeated; a writer that lost a race gets a ConflictError. */
export interface MirrorTarget {
  /** Asks whether the place of the mirror answers, at little cost. @throws RetriableError, ConfigurationError if not */
  ask(): Promise<void>;
  /**
   * The tables as the mirror holds them: Dataverse's columns, and those that the configuration adds. `rejected` are those
   * that it cannot hold beside the tables in `state`, by logical name, each with the reason.
   * @param configs by logical name
   */
  storableTables(
    tables: readonly Table[],
    configs: ReadonlyMap<string, TableConfig>,
    state: State,
  ): { tables: Table[]; rejected: Map<string, SkipTableError> };
  /** What a transaction will change in the schema before it merges rows of `table`. */
  schemaChanges(state: State, table: Table, synced: readonly Table[]): SchemaChange[];
  /** The state that belongs to the rows in the mirror. */
  loadState(): Promise<LoadedState>;
  /**
   * Takes over the rows, histories, lists, labels and cursors of another mirror, in one commit.
   * @param configs the configured tables, by logical name
   * @throws ConfigurationError if it has a mirror already
   */
  receive(contents: MirrorContents, configs: ReadonlyMap<string, TableConfig>): Promise<ReceivedMirror>;
  /** The state as it was saved last. For reports: it costs less, and may be older or newer than the rows. */
  lastState(): Promise<State | undefined>;
  /** Saves the state of a mirror that did not change. @throws ConflictError if `etag` is not current */
  saveState(loaded: LoadedState): Promise<void>;
  /**
   * Works on the mirror. Readers see nothing of it before `commit`, and everything after it.
   * @throws ConflictError if another writer committed first
   */
  transaction<T>(options: TransactionOptions, work: (mirror: MirrorTransaction) => Promise<T>): Promise<T>;
  /**
   * The ids of all rows of a table that are committed and not marked as deleted, in order. It needs no transaction, and can
   * be asked for while one works.
   */
  rowIds(table: Table): Promise<string[]>;
  /**
   * Takes a shard ahead of the merge, which is faster then. The merge reads a shard itself that was not taken, so a failure
   * costs nothing but time. Shards of attempts that are not merged may be given, too, and several at the same time. Absent
   * where nothing would be gained.
   * @throws unknown errors, once for each run
   */
  stageShard?(shard: ShardToStage): Promise<void>;
  /** Drops what `stageShard` took for a run that is over, or for all other runs. What is being merged may stay. */
  dropStaged?(runId: string, whose: 'own' | 'others'): Promise<void>;
  /** After a run: brings tables to where their size says that they belong. Absent where there is one place. */
  arrange?(): Promise<void>;
  /**
   * References whose target is absent; undefined while there is no mirror, `large` if it is too large to be searched at
   * once: then a check counts them.
   */
  findDangling(): Promise<DanglingReport | 'large' | undefined>;
  /**
   * One step of a check of the whole mirror: of what is stored, of the row counts that are kept, and of references. Runs
   * may change the mirror meanwhile.
   * @param before what the step before returned; undefined for the first step
   * @throws SyncError if the check cannot be completed, RetriableError
   */
  checkStep(before: CheckProgress | undefined, options: CheckOptions): Promise<CheckStep>;
  /**
   * What each table of the mirror has since the point to which it was exported; undefined while there is no mirror.
   * @param exported by logical name
   */
  newsSince(exported: Readonly<Record<string, ChangePoint>>): Promise<MirrorNews | undefined>;
  /**
   * One page of the rows of a table, of one state of the mirror.
   * @returns undefined if the pages do not go on: the table is gone, or was built anew
   */
  readRows(request: RowsRequest): Promise<RowsPage | undefined>;
}

/** What became of a table of another mirror. */
export interface ReceivedTableReport {
  /** Logical name. */
  table: string;
  rows: number;
  /** What people should know about its values, as sentences. */
  notes: string[];
  /** Why this target cannot hold it; the next run tries to read it. */
  error?: string | undefined;
}

/** What a target took over from another one. */
export interface ReceivedMirror {
  tables: ReceivedTableReport[];
  bytes: number;
}

export interface ShardToStage {
  runId: string;
  /** The table as a merge gets it. */
  table: Table;
  /** No other shard has it, also no other attempt at the same. */
  name: string;
  /** They are only read. */
  bytes: Uint8Array;
}

export interface TransactionOptions {
  /** The state as the caller knows it. */
  loaded: LoadedState;
  runId: string;
  /** The instant of the merge for history, tombstones and marks: ISO 8601, UTC. */
  at: string;
  /** All tables that this run mirrors: foreign keys between them are declared. */
  synced: readonly Table[];
  /**
   * The tables that have news. Where the mirror is divided, the parts without such tables stay closed until they are needed.
   */
  tables?: () => readonly Table[];
  /** Bytes of the shards to be merged, for targets that reserve memory. */
  incomingBytes: number;
  /** Whether it notes which rows it changes. Without it, what is noted stays as it is: the transaction changes no row. */
  tracking?: Tracking;
  /** Whether it may be the one that counts figures about large tables again, when that is due. */
  recounts?: boolean;
}

/** The mirror as one writer works on it. */
export interface MirrorTransaction {
  /** The state of the rows. The caller changes it with the rows; `commit` stores it. */
  readonly state: State;
  /**
   * What an earlier attempt at this work has committed; undefined if nothing.
   * @param isOwn whether an `outcome` is of this work
   */
  findOutcome(isOwn: (outcome: unknown) => boolean): Promise<FoundOutcome | undefined>;
  /** Whether the part of the mirror that has this table is open already. A table without news need not open it. */
  isOpen(table: Table): boolean;
  /** Brings the table to the schema of `table`, then merges the shards in order: their rows, then their deletes. */
  mergeTable(table: Table, shards: readonly ShardPart[], options: MergeOptions): Promise<TableMerge>;
  /**
   * Digest of the keys and versions of the rows, of all or of those modified at or after `since`, like the digest of
   * rows read; undefined for a table without versions.
   */
  contentDigest(table: Table, since?: string): Promise<string | undefined>;
  /** The ids of all rows that are not marked as deleted, in order. */
  rowIds(table: Table): Promise<string[]>;
  /**
   * What filtered tables lack and what they do not need. `tables` may contain tables that the mirror lacks.
   * @param withPresent the tables of which the ids that they have and need are wanted, too
   */
  findClosure(
    tables: readonly Table[],
    filtered: ReadonlySet<string>,
    withPresent?: ReadonlySet<string>,
  ): Promise<Closure>;
  /**
   * Digests of the rows of `tables` that refer to these ids, which change with any of these rows.
   * @param target logical name of the table of the ids
   */
  referrers(tables: readonly Table[], target: string, ids: readonly string[]): Promise<Referrers>;
  /** Removes rows that Dataverse may still have, under the limit for deletes. They leave tombstones. */
  removeRows(table: Table, ids: readonly string[], options: RemoveOptions): Promise<RemovedRows>;
  /**
   * Drops a table with its history, views, labels and bookkeeping. Tables that refer to it declare no key to it then.
   * @throws SkipTableError if something else in the database needs the table: it stays, and the transaction can go on
   */
  dropTable(logicalName: string): Promise<void>;
  /**
   * Updates labels and views for the tables.
   * @param read called only if the mirror has other labels
   * @returns whether anything changed
   */
  writeLabels(
    digest: string | undefined,
    read: (digest: string) => Promise<Labels | undefined>,
  ): Promise<boolean>;
  /**
   * Choice columns that have values and no labels, once each: tables and columns as the mirror names them. They are
   * recorded in the mirror.
   */
  findUnlabelled(): Promise<{ logicalName: string; table: string; column: string }[]>;
  /** Counts references whose target is absent. @param changed logical names of tables whose rows or schema changed */
  countDangling(changed: ReadonlySet<string>): Promise<number>;
  /** Compares the files that rows of these tables show with those that were fetched. */
  compareFiles(tables: readonly Table[]): Promise<FileComparison>;
  /** @param at when they were fetched: ISO 8601, UTC */
  writeFiles(fetched: readonly FetchedFile[], removed: readonly FileKey[], at: string): Promise<void>;
  /**
   * Instead of `commit`, where the work changed no row, schema or label: stores the state and the log beside the mirror,
   * which stays as it is. Undefined if that is not possible, because the state is not that of the mirror.
   */
  saveUnchanged(log: readonly SyncLogRow[]): Promise<{ database: DatabaseReport; state: State } | undefined>;
  /** Stores everything, once. Returns the figures, and the state as it was stored. */
  commit(contents: CommitContents): Promise<{ database: DatabaseReport; state: State }>;
}

/** What earlier attempts at the same work have committed. */
export interface FoundOutcome {
  /** The latest one. */
  outcome: unknown;
  /** Whether all of the work is committed. Where the mirror is divided, an attempt can have committed some parts. */
  isComplete: boolean;
  /** The outcome that was committed with this table; undefined if it is still to be committed. */
  of(table: Table): unknown;
}

/**
 * Digests of 64 bits by the logical name of the referring table, then by id. Those of an id add up; ids that a table does
 * not refer to have none.
 */
export type Referrers = ReadonlyMap<string, ReadonlyMap<string, bigint>>;

/** One shard of the table. */
export interface ShardPart {
  /** The name under which it may have been staged. */
  name?: string;
  /** Its bytes, which may be changed. */
  read: () => Promise<Uint8Array>;
  /** Whether its rows are of the read that `MergeOptions.isComplete` is about. */
  isFinal: boolean;
}

export interface MergeOptions {
  /** Keep the former version of each row that changes. */
  history: boolean;
  /** The history was not kept until now, or it is not known whether it was. */
  startHistory: boolean;
  /** The share of the table's rows that may be deleted at once. */
  massDeleteLimit: number;
  /** Whether rows absent from the shards are deleted rows. */
  isComplete: boolean;
  /** Which keys the shards compare: all of the table, those of these ids, or none. Absent keys are deleted rows. */
  comparedKeys: 'all' | readonly string[] | undefined;
}

export type RemoveOptions = Pick<MergeOptions, 'history' | 'massDeleteLimit'>;

export interface RemovedRows {
  removed: number;
  /** Rows that exceed the limit. None of them was removed. */
  heldBack: number;
}

export interface TableMerge {
  /** The table as the mirror holds it now. */
  table: Table;
  schemaChanges: number;
  added: number;
  updated: number;
  deleted: number;
  /** Rows in the table afterwards; those only marked as deleted do not count. */
  rows: number;
  /** Deletes that exceed the limit. None of them was applied. */
  heldBack: number;
  /**
   * Ids whose keys Dataverse showed and that the mirror lacks, or holds in another version or with another value of a
   * compared column.
   */
  outdatedIds: string[];
  /** Rows that Dataverse showed with a lower version than the mirror had. No write does that. */
  movedBack: number;
  /** How many of them the mirror has in Dataverse's version, with another value. */
  otherValues: number;
  /** Rows of the mirror that a comparison of all keys did not find and that nothing else named as deleted. */
  absent: number;
  /** What people should know about values that the mirror could not store, as sentences. */
  notes?: string[];
}

/** By logical name of the filtered table. */
export interface Closure {
  /** Ids that rows refer to and that the table lacks. */
  missing: Map<string, string[]>;
  /** Ids that rows refer to and that the table has, of tables for which they were requested. */
  present: Map<string, string[]>;
  /** Ids of rows that nothing refers to. */
  unneeded: Map<string, string[]>;
  /** Only rows that were merged in this transaction were followed: what others lack was found before, and is not repeated. */
  isPartial?: boolean;
}

export interface FileKey {
  /** Names in SQLite. */
  table: string;
  rowId: string;
  column: string;
}

export interface StoredFile extends FileKey {
  blob: string | null;
}

export interface WantedFile extends FileKey {
  entitySet: string;
  kind: 'file' | 'image';
  fileId: string;
  name: string | null;
}

export interface FetchedFile extends WantedFile {
  /** Null if there is no content, or if it could not be fetched. */
  blob: string | null;
  bytes: number;
  error: string | null;
}

export interface FileComparison {
  /** Files whose content was not fetched yet, or changed since. */
  wanted: WantedFile[];
  /** Fetched files that no row shows. */
  unwanted: StoredFile[];
  /** If there are several databases: those that have such files or tables. */
  databases?: string[];
}

export interface CommitContents {
  log?: readonly SyncLogRow[];
  /** What a repetition of this work needs to know. Plain data. */
  outcome?: unknown;
  /** The tables whose files are kept, whether every file is there, and the databases that the comparison found. */
  files?: { entities: string[]; areComplete: boolean; databases?: string[] | undefined };
}

export interface DanglingReport {
  /** The state of the mirror that was searched. */
  database: { etag: string; bytes: number };
  tables: number;
  foreignKeys: DanglingKey[];
}
