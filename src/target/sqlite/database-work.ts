import { quoteIdentifier as quote } from '../../schema/sql.ts';
import type { Table } from '../../schema/table.ts';
import type { Tree } from '../../sqlite/check/tree-check.ts';
import type { Pages } from '../../sqlite/paged/page-prefetch.ts';
import { Shard } from '../../sqlite/shard.ts';
import type { SqliteDatabase } from '../../sqlite/sqlite-database.ts';
import type { ChangePoint, RowsPage, RowsRequest, Tracking } from '../changes.ts';
import { liveRows } from '../common/mirror-table.ts';
import { referableTables } from '../common/referable-tables.ts';
import type { ReferenceCounts } from '../mirror-check.ts';
import type { MirrorValue } from '../mirror-contents.ts';
import type {
  DanglingReport,
  FetchedFile,
  FileComparison,
  FileKey,
  Labels,
  MergeOptions,
  Referrers,
  RemovedRows,
  RemoveOptions,
  TableMerge,
} from '../mirror-target.ts';
import { configuredTables, type State, type SyncLogRow, type TableState, tablesOf } from '../state.ts';
import type { CheckedFigures } from './check/checked-figures.ts';
import { readTrees } from './check/read-trees.ts';
import { applyMigration, declaredKeys, dropTable, migrationOf } from './migrations.ts';
import { type FileClosure, findClosure } from './rows/closure.ts';
import { countRows } from './rows/count-rows.ts';
import {
  countDangling,
  type DanglingCounts,
  findDangling,
  totalDangling,
} from './rows/dangling-references.ts';
import { digestFromDatabase } from './rows/database-digest.ts';
import { deleteRows } from './rows/delete-rows.ts';
import { openHistory } from './rows/history.ts';
import { mergeTable } from './rows/merge-table.ts';
import { prefetchRows } from './rows/prefetch-rows.ts';
import { readRows } from './rows/read-rows.ts';
import { countBatch } from './rows/reference-batches.ts';
import { findReferrers } from './rows/referrers.ts';
import {
  createBookkeeping,
  forgetDroppedTables,
  prune,
  readMeta,
  readState,
  readTable,
  writeForeignKeys,
  writeLog,
  writeMeta,
  writeState,
} from './tables/bookkeeping.ts';
import { ChangesTable, dropChanges, forgetChanges, newsSince } from './tables/changes-table.ts';
import { findUnlabelled, writeChoices } from './tables/choices-table.ts';
import { createFileTable, removeFile, unwantedFiles, wantedFiles, writeFile } from './tables/file-table.ts';

/** Names in `_sync_meta`. */
const outcomeMeta = 'last-round';
const danglingMeta = 'dangling-references';
const countedAtMeta = 'dangling-references-counted-at';
const databasesMeta = 'databases';

/** So many rows are gone through at once where no limit is set. */
const maxBatch = 10_000;

/** What a transaction on the database is for. Plain data. */
export interface WorkContext {
  runId: string;
  /** The instant of the merge: ISO 8601, UTC. */
  at: string;
  /** All tables that this run mirrors. */
  synced: readonly Table[];
  /** Go through whole tables, also large ones, and count again what is kept as a figure. */
  isDeep: boolean;
  /** What a check has counted of large tables. */
  figures?: CheckedFigures | undefined;
  /** Whether changed rows are noted, and the ETag of the database that was opened. */
  tracking?: { changes: Tracking; base: string } | undefined;
}

export interface DatabaseWorkOptions {
  /**
   * Tables with more rows are read in whole only where their own rows are: figures about them are kept, or counted by the
   * next deep transaction.
   * @default no limit
   */
  scanRows?: number;
  /** The file's pages, where loading them one after the other takes time. */
  pages?: Pages;
}

/** The public methods alone: a database in another thread has them, too. */
export type Work = Pick<DatabaseWork, keyof DatabaseWork>;

/**
 * What the mirror does with its database: all of its SQL. Arguments and results are plain data, because a large database
 * is worked on in a thread of its own. `state` is the caller's, who changes it.
 */
export class DatabaseWork {
  readonly #db: SqliteDatabase;
  readonly #scanRows: number;
  readonly #pages: Pages | undefined;
  #context: WorkContext = { runId: '', at: '', synced: [], isDeep: false };
  /** Logical names of the tables of which all rows were merged in this transaction. */
  #mergedAsWhole = new Set<string>();
  /** How many rows the tables have, by logical name. */
  #rows = new Map<string, number>();
  /** The tables that the database held before. */
  #before: readonly Table[] = [];
  #changes: ChangesTable | undefined;

  constructor(db: SqliteDatabase, options: DatabaseWorkOptions = {}) {
    this.#db = db;
    this.#scanRows = options.scanRows ?? Number.POSITIVE_INFINITY;
    this.#pages = options.pages;
  }

  /** Whether the table is not to be gone through for a figure about it. */
  #isLarge({ logicalName }: Pick<Table, 'logicalName'>): boolean {
    return !this.#context.isDeep && (this.#rows.get(logicalName) ?? 0) > this.#scanRows;
  }

  /** Whether the row count that is kept of the table goes on. A check may have found it wrong. */
  #keepsCount(table: Table): boolean {
    return this.#isLarge(table) && !this.#context.figures?.recount.includes(table.logicalName);
  }

  /** The rows of the table that are not marked as deleted. */
  #rowsOf(table: Table): number {
    return this.#keepsCount(table) ? this.#rows.get(table.logicalName)! : countRows(this.#db, table);
  }

  /**
   * Begins a transaction.
   * @param state as the caller knows it; read from the database if it is not of this database
   */
  async begin(
    context: WorkContext,
    state: State | undefined,
  ): Promise<{ state: State; lastOutcome: unknown }> {
    createBookkeeping(this.#db);
    this.#db.exec(`DROP TABLE IF EXISTS temp.merged;
      CREATE TEMP TABLE merged (entity TEXT, id TEXT, PRIMARY KEY (entity, id)) WITHOUT ROWID`);
    const current = state ?? readState(this.#db);
    this.#context = context;
    const { changes, base = '' } = context.tracking ?? {};
    this.#changes = typeof changes === 'object' ? new ChangesTable(this.#db, base) : undefined;
    this.#mergedAsWhole = new Set();
    this.#before = tablesOf(current);
    this.#rows = new Map(Object.entries(current.entities).map(([name, { rows }]) => [name, rows]));
    const outcome = readMeta(this.#db, outcomeMeta);
    return { state: current, lastOutcome: outcome === undefined ? undefined : JSON.parse(outcome) };
  }

  /** Adds rows of another mirror to a table or list; rows that are there stay. */
  async insertRows(
    into: string,
    columns: readonly string[],
    rows: readonly (readonly MirrorValue[])[],
  ): Promise<void> {
    if (into === '_files') createFileTable(this.#db);
    const sql = `INSERT OR IGNORE INTO main.${quote(into)} (${columns.map(quote).join(', ')})
      VALUES (${columns.map(() => '?').join(', ')})`;
    this.#db.transaction(() => {
      for (const row of rows) this.#db.run(sql, row);
    });
  }

  /** @param read the bytes of a shard, by its index */
  async mergeTable(
    state: State,
    table: Table,
    shards: readonly { isFinal: boolean }[],
    options: MergeOptions,
    read: (index: number) => Promise<Uint8Array>,
  ): Promise<TableMerge> {
    const { runId, at, synced } = this.#context;
    const known = state.entities[table.logicalName]?.table;
    const before = known && { ...known, declaredKeys: known.declaredKeys ?? declaredKeys(this.#db, known) };
    const migration = migrationOf(before, table, referableTables(synced, state), this.#before);
    applyMigration(this.#db, before, migration, { runId, at });
    const parts = shards.map(({ isFinal }, index) => ({
      open: async () => Shard.open(this.#db.sqlite, await read(index)).db,
      final: isFinal,
    }));
    const keepsCount = this.#keepsCount(table);
    // Of these, a list of the ids that were merged would be as long as the table.
    const isWhole = options.isComplete || this.#rowsOf(migration.table) === 0;
    if (isWhole) this.#mergedAsWhole.add(table.logicalName);
    const isOther = known === undefined || migration.hasOtherValues;
    if (isOther) this.#changes?.recordAll(table.logicalName);
    const { outdated, historyChanged, ...counts } = await mergeTable(this.#db, migration.table, parts, {
      runId,
      at,
      // A table that is new, or has other values, is exported as a whole.
      changes: isOther ? undefined : this.#changes,
      rowsBefore: this.#rowsOf(migration.table),
      prefetch: this.#pages && ((ids) => prefetchRows(this.#db, this.#pages!, migration.table, ids)),
      isCounted: !keepsCount,
      keepsIds: this.#pages !== undefined && !isWhole,
      history: options.history,
      startHistory: options.startHistory,
      massDeleteLimit: options.massDeleteLimit,
      complete: options.isComplete,
      keys: options.comparedKeys,
    });
    this.#rows.set(table.logicalName, counts.rows);
    const schemaChanges = migration.changes.length + Number(historyChanged);
    return { ...counts, table: migration.table, schemaChanges, outdatedIds: outdated };
  }

  async contentDigest(table: Table, since?: string): Promise<string | undefined> {
    // Also where large tables are gone through: it takes the keys of all rows at once.
    const isLarge = (this.#rows.get(table.logicalName) ?? 0) > this.#scanRows;
    return isLarge ? undefined : digestFromDatabase(this.#db, table, since);
  }

  async rowIds(table: Table): Promise<string[]> {
    const { name, primaryKey } = table;
    return this.#db
      .all<{ id: string }>(
        `SELECT ${quote(primaryKey)} AS id FROM main.${quote(name)}${liveRows(table)} ORDER BY 1`,
      )
      .map((row) => row.id);
  }

  /**
   * Beside large tables, what was found missing before is known: then only rows that were merged in this transaction are
   * followed, and rows that nothing refers to any more stay until a deep transaction.
   * @param needed ids that rows of other files refer to, by logical name
   */
  async findClosure(
    state: State,
    tables: readonly Table[],
    filtered: ReadonlySet<string>,
    withPresent: ReadonlySet<string> = new Set(),
    needed: ReadonlyMap<string, readonly string[]> = new Map(),
  ): Promise<FileClosure> {
    const isSettled =
      state.closureOpen !== true &&
      withPresent.size === 0 &&
      [...filtered].every((name) => this.#isSettled(state.entities[name]));
    const isPartial = isSettled && tables.some((table) => this.#isLarge(table));
    return findClosure(this.#db, tables, filtered, {
      withPresent,
      ofMerged: isPartial ? this.#mergedAsWhole : undefined,
      needed,
    });
  }

  /** Whether nothing is to be looked for again of what a filtered table lacks. */
  #isSettled(known: TableState | undefined): boolean {
    const againAt = known?.absentIds?.againAt;
    return known !== undefined && (againAt === undefined || againAt > this.#context.at);
  }

  async referrers(tables: readonly Table[], target: string, ids: readonly string[]): Promise<Referrers> {
    return findReferrers(this.#db, tables, target, ids);
  }

  /**
   * @param options `keepsHistory`: the table goes on in another file, and its earlier versions are only here
   * @returns the tables that remain, as they are now
   */
  async dropTable(
    state: State,
    logicalName: string,
    options: { keepsHistory?: boolean } = {},
  ): Promise<State['entities']> {
    const { runId, at, synced } = this.#context;
    const { [logicalName]: dropped, ...entities } = state.entities;
    if (dropped === undefined) return state.entities;
    const others = Object.values(entities).map(({ table }) => table);
    dropTable(this.#db, dropped.table, others, { runId, at, ...options });
    forgetChanges(this.#db, logicalName);
    // Tables of the run get other foreign keys as they are merged. Others would never lose theirs.
    const merged = new Set(synced.map((table) => table.logicalName));
    const referable = referableTables(synced, { ...state, entities });
    for (const [name, known] of Object.entries(entities)) {
      if (merged.has(name)) continue;
      const { table } = known;
      const migration = migrationOf(table, table, referable, this.#before);
      applyMigration(this.#db, table, migration, { runId, at });
      entities[name] = { ...known, table: migration.table };
    }
    return entities;
  }

  async removeRows(table: Table, ids: readonly string[], options: RemoveOptions): Promise<RemovedRows> {
    const db = this.#db;
    const { runId, at } = this.#context;
    return db.transaction(() => {
      db.exec('CREATE TEMP TABLE unneeded (id TEXT PRIMARY KEY)');
      for (const id of ids) db.run('INSERT INTO temp.unneeded VALUES (?)', [id]);
      const { deleted, heldBack } = deleteRows(db, table, 'SELECT id FROM temp.unneeded', {
        runId,
        at,
        massDeleteLimit: options.massDeleteLimit,
        rowsBefore: this.#rowsOf(table),
        mark: false,
        changes: this.#changes,
        history: options.history ? openHistory(db, table, at) : undefined,
      });
      db.exec('DROP TABLE temp.unneeded');
      const before = this.#rows.get(table.logicalName);
      if (before !== undefined) this.#rows.set(table.logicalName, before - deleted);
      return { removed: deleted, heldBack };
    });
  }

  async writeLabels(
    state: State,
    digest: string | undefined,
    read: (digest: string) => Promise<Labels | undefined>,
  ): Promise<boolean> {
    return writeChoices(this.#db, tablesOf(state), digest, read);
  }

  /** Columns of large tables are looked at by a deep transaction: one without values takes a look at every row. */
  async findUnlabelled(state: State): Promise<{ logicalName: string; table: string; column: string }[]> {
    const { runId, at } = this.#context;
    const tables = tablesOf(state).filter((table) => !this.#isLarge(table));
    return this.#db.transaction(() => findUnlabelled(this.#db, tables, { runId, at }));
  }

  async countDangling(state: State, changed: ReadonlySet<string>): Promise<number> {
    const before = JSON.parse(readMeta(this.#db, danglingMeta) ?? '{}') as DanglingCounts;
    const tables = configuredTables(state);
    const counts = countDangling(this.#db, tables, {
      before: { ...before, ...this.#checkedCounts(tables) },
      changed: this.#context.isDeep ? undefined : changed,
      isKept: (table) => this.#isLarge(table),
    });
    writeMeta(this.#db, danglingMeta, JSON.stringify(counts));
    if (this.#context.isDeep) writeMeta(this.#db, countedAtMeta, this.#context.at);
    return totalDangling(counts);
  }

  /** What a check has counted of large tables, unless a deep transaction has counted all references since. */
  #checkedCounts(tables: readonly Table[]): DanglingCounts {
    const { at = '', dangling = {} } = this.#context.figures ?? {};
    const countedAt = readMeta(this.#db, countedAtMeta);
    if (countedAt !== undefined && at <= countedAt) return {};
    const large = tables.filter((table) => this.#isLarge(table)).map(({ name }) => `${name}.`);
    return Object.fromEntries(
      Object.entries(dangling).filter(([key]) => large.some((name) => key.startsWith(name))),
    );
  }

  async compareFiles(tables: readonly Table[]): Promise<FileComparison> {
    createFileTable(this.#db);
    return { wanted: wantedFiles(this.#db, tables), unwanted: unwantedFiles(this.#db, tables) };
  }

  async writeFiles(fetched: readonly FetchedFile[], removed: readonly FileKey[], at: string): Promise<void> {
    this.#db.transaction(() => {
      for (const file of removed) removeFile(this.#db, file);
      for (const file of fetched) writeFile(this.#db, file, at);
    });
  }

  /**
   * Writes the state and the log into the database, which is complete then.
   * @param databases the names of all files of the mirror, if there are several
   */
  async finish(
    state: State,
    log: readonly SyncLogRow[],
    outcome: unknown,
    databases?: readonly string[],
  ): Promise<void> {
    const db = this.#db;
    const { runId, at } = this.#context;
    db.transaction(() => {
      for (const row of [...state.pendingLog, ...log]) writeLog(db, row);
      prune(db, at);
      writeState(db, state, runId);
      forgetDroppedTables(db);
      writeForeignKeys(db, tablesOf(state));
      if (outcome !== undefined) writeMeta(db, outcomeMeta, JSON.stringify(outcome));
      if (databases !== undefined) writeMeta(db, databasesMeta, JSON.stringify(databases));
      const { changes } = this.#context.tracking ?? {};
      if (typeof changes === 'object') this.#changes?.finish(changes.exported);
      else if (changes === 'off') dropChanges(db);
    });
  }

  /** @throws Error if `PRAGMA quick_check` finds a fault. It reads the whole database */
  async check(): Promise<void> {
    const check = this.#db.get<{ quick_check: string }>('PRAGMA main.quick_check')?.quick_check;
    if (check !== 'ok') throw new Error(`The merged database fails PRAGMA quick_check: ${check}`);
  }

  async readState(): Promise<State> {
    return { ...readState(this.#db), databaseBytes: this.#db.byteLength };
  }

  /** What the database says about itself: the other files of the mirror, too, and its count of dangling references. */
  async describe(): Promise<{ state: State; databases: string[]; dangling: number }> {
    const read = (name: string): string => {
      const isNew = !this.#db.hasTable('_sync_meta');
      return (isNew ? undefined : readMeta(this.#db, name)) ?? '{}';
    };
    const databases = JSON.parse(read(databasesMeta)) as string[] | object;
    return {
      state: await this.readState(),
      databases: Array.isArray(databases) ? databases : [],
      dangling: totalDangling(JSON.parse(read(danglingMeta)) as DanglingCounts),
    };
  }

  /** What the file's pages belong to, as the schema says. */
  async readTrees(): Promise<Tree[]> {
    return readTrees(this.#db);
  }

  /** Counts references whose target is absent, one batch further. See `countBatch`. */
  async countReferences(etag: string, before: ReferenceCounts): Promise<ReturnType<typeof countBatch>> {
    const size = Math.min(this.#scanRows, maxBatch);
    return countBatch(this.#db, readState(this.#db), etag, before, size);
  }

  /** What these tables have since the points. @param etag of the database */
  async newsSince(
    points: Readonly<Record<string, ChangePoint | undefined>>,
    etag: string,
  ): Promise<ReturnType<typeof newsSince>> {
    return newsSince(this.#db, points, etag);
  }

  /** @returns undefined if the database lacks the table, or its rows are arranged in another way */
  async readRows(request: RowsRequest): Promise<RowsPage | undefined> {
    const table = readTable(this.#db, request.table.logicalName);
    if (table === undefined) return undefined;
    const pages = this.#pages;
    return readRows(this.#db, table, request, pages && ((ids) => prefetchRows(this.#db, pages, table, ids)));
  }

  async findDangling(): Promise<Omit<DanglingReport, 'database'>> {
    const tables = configuredTables(readState(this.#db));
    return { tables: tables.length, foreignKeys: findDangling(this.#db, tables) };
  }
}
