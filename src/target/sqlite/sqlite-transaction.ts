import { quoteIdentifier as quote } from '../../schema/sql.ts';
import type { Table } from '../../schema/table.ts';
import type { SqliteDatabase } from '../../sqlite/sqlite-database.ts';
import type {
  Closure,
  CommitContents,
  FetchedFile,
  FileComparison,
  FileKey,
  Labels,
  MergeOptions,
  MirrorTransaction,
  Referrers,
  RemovedRows,
  RemoveOptions,
  ShardPart,
  TableMerge,
  TransactionOptions,
} from '../mirror-target.ts';
import {
  configuredTables,
  type DatabaseReport,
  type LoadedState,
  type State,
  type SyncLogRow,
  tablesOf,
  withPendingLog,
} from '../state.ts';
import type { DatabaseChange } from './database-cache.ts';
import { applyMigration, declaredKeys, dropTable, migrationOf, referableTables } from './migrations.ts';
import { countRows, liveRows } from './mirror-table.ts';
import { findClosure } from './rows/closure.ts';
import { countDangling, type DanglingCounts, totalDangling } from './rows/dangling-references.ts';
import { digestFromDatabase } from './rows/database-digest.ts';
import { deleteRows } from './rows/delete-rows.ts';
import { openHistory } from './rows/history.ts';
import { mergeTable } from './rows/merge-table.ts';
import { findReferrers } from './rows/referrers.ts';
import {
  createBookkeeping,
  forgetDroppedTables,
  prune,
  readMeta,
  readState,
  writeForeignKeys,
  writeLog,
  writeMeta,
  writeState,
} from './tables/bookkeeping.ts';
import { findUnlabelled, writeChoices } from './tables/choices-table.ts';
import { createFileTable, removeFile, unwantedFiles, wantedFiles, writeFile } from './tables/file-table.ts';

/** Names in `_sync_meta`. */
const outcomeMeta = 'last-round';
const danglingMeta = 'dangling-references';

/** Works on the database in memory. `commit` stores the file, then `state.json`. */
export class SqliteTransaction implements MirrorTransaction {
  readonly state: State;
  readonly #change: DatabaseChange;
  readonly #db: SqliteDatabase;
  readonly #options: TransactionOptions;
  readonly #save: (loaded: LoadedState) => Promise<void>;
  /** The tables that the database held before. */
  readonly #before: readonly Table[];

  constructor(
    change: DatabaseChange,
    options: TransactionOptions,
    save: (loaded: LoadedState) => Promise<void>,
  ) {
    const { db, etag } = change;
    createBookkeeping(db);
    const { state } = options.loaded;
    const isOfDatabase = state.databaseEtag === etag;
    this.state = isOfDatabase ? { ...state, entities: { ...state.entities } } : readState(db);
    this.#change = change;
    this.#db = db;
    this.#options = options;
    this.#save = save;
    this.#before = tablesOf(this.state);
  }

  get lastOutcome(): unknown {
    const text = readMeta(this.#db, outcomeMeta);
    return text === undefined ? undefined : JSON.parse(text);
  }

  async mergeTable(table: Table, shards: readonly ShardPart[], options: MergeOptions): Promise<TableMerge> {
    const { runId, at, synced } = this.#options;
    const known = this.state.entities[table.logicalName]?.table;
    const before = known && { ...known, declaredKeys: known.declaredKeys ?? declaredKeys(this.#db, known) };
    const migration = migrationOf(before, table, referableTables(synced, this.state), this.#before);
    applyMigration(this.#db, before, migration, { runId, at });
    const parts = shards.map(({ open, isFinal }) => ({
      open: async () => (await open()).db,
      final: isFinal,
    }));
    const { outdated, historyChanged, ...counts } = await mergeTable(this.#db, migration.table, parts, {
      runId,
      at,
      history: options.history,
      startHistory: options.startHistory,
      massDeleteLimit: options.massDeleteLimit,
      complete: options.isComplete,
      keys: options.comparedKeys,
    });
    const schemaChanges = migration.changes.length + Number(historyChanged);
    return { ...counts, table: migration.table, schemaChanges, outdatedIds: outdated };
  }

  async contentDigest(table: Table, since?: string): Promise<string | undefined> {
    return digestFromDatabase(this.#db, table, since);
  }

  async rowIds(table: Table): Promise<string[]> {
    const { name, primaryKey } = table;
    return this.#db
      .all<{ id: string }>(
        `SELECT ${quote(primaryKey)} AS id FROM main.${quote(name)}${liveRows(table)} ORDER BY 1`,
      )
      .map((row) => row.id);
  }

  async findClosure(
    tables: readonly Table[],
    filtered: ReadonlySet<string>,
    withPresent?: ReadonlySet<string>,
  ): Promise<Closure> {
    return findClosure(this.#db, tables, filtered, withPresent);
  }

  async referrers(tables: readonly Table[], target: string, ids: readonly string[]): Promise<Referrers> {
    return findReferrers(this.#db, tables, target, ids);
  }

  async dropTable(logicalName: string): Promise<void> {
    const { runId, at, synced } = this.#options;
    const { [logicalName]: dropped, ...entities } = this.state.entities;
    if (dropped === undefined) return;
    const others = Object.values(entities).map(({ table }) => table);
    dropTable(this.#db, dropped.table, others, { runId, at });
    Object.assign(this.state, { entities });
    // Tables of the run get other foreign keys as they are merged. Others would never lose theirs.
    const merged = new Set(synced.map((table) => table.logicalName));
    for (const [name, known] of Object.entries(entities)) {
      if (merged.has(name)) continue;
      const { table } = known;
      const migration = migrationOf(table, table, referableTables(synced, this.state), this.#before);
      applyMigration(this.#db, table, migration, { runId, at });
      entities[name] = { ...known, table: migration.table };
    }
  }

  async removeRows(table: Table, ids: readonly string[], options: RemoveOptions): Promise<RemovedRows> {
    const db = this.#db;
    const { runId, at } = this.#options;
    return db.transaction(() => {
      db.exec('CREATE TEMP TABLE unneeded (id TEXT PRIMARY KEY)');
      for (const id of ids) db.run('INSERT INTO temp.unneeded VALUES (?)', [id]);
      const { deleted, heldBack } = deleteRows(db, table, 'SELECT id FROM temp.unneeded', {
        runId,
        at,
        massDeleteLimit: options.massDeleteLimit,
        rowsBefore: countRows(db, table),
        mark: false,
        history: options.history ? openHistory(db, table, at) : undefined,
      });
      db.exec('DROP TABLE temp.unneeded');
      return { removed: deleted, heldBack };
    });
  }

  writeLabels(
    digest: string | undefined,
    read: (digest: string) => Promise<Labels | undefined>,
  ): Promise<boolean> {
    return writeChoices(this.#db, tablesOf(this.state), digest, read);
  }

  async findUnlabelled(): Promise<{ logicalName: string; table: string; column: string }[]> {
    const { runId, at } = this.#options;
    return this.#db.transaction(() => findUnlabelled(this.#db, tablesOf(this.state), { runId, at }));
  }

  async countDangling(changed: ReadonlySet<string>): Promise<number> {
    const before = JSON.parse(readMeta(this.#db, danglingMeta) ?? '{}') as DanglingCounts;
    const counts = countDangling(this.#db, configuredTables(this.state), before, changed);
    writeMeta(this.#db, danglingMeta, JSON.stringify(counts));
    return totalDangling(counts);
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

  async saveUnchanged(
    log: readonly SyncLogRow[],
  ): Promise<{ database: DatabaseReport; state: State } | undefined> {
    const { etag } = this.#change;
    const { databaseEtag, databaseBytes: bytes = 0 } = this.state;
    if (etag === undefined || databaseEtag !== etag) return undefined;
    const state = withPendingLog(this.state, log);
    await this.#save({ state, etag: this.#options.loaded.etag });
    this.#change.keep();
    return { database: { bytes, stagedBlocks: 0, stagedBytes: 0, etag }, state };
  }

  async commit({
    log = [],
    outcome,
    files,
  }: CommitContents): Promise<{ database: DatabaseReport; state: State }> {
    const db = this.#db;
    db.transaction(() => {
      for (const row of [...this.state.pendingLog, ...log]) writeLog(db, row);
      prune(db, this.#options.at);
      writeState(db, this.state, this.#options.runId);
      forgetDroppedTables(db);
      writeForeignKeys(db, tablesOf(this.state));
      if (outcome !== undefined) writeMeta(db, outcomeMeta, JSON.stringify(outcome));
    });
    const check = db.get<{ quick_check: string }>('PRAGMA main.quick_check')?.quick_check;
    if (check !== 'ok') throw new Error(`The merged database fails PRAGMA quick_check: ${check}`);
    const database = await this.#change.commit();
    const { etag } = database;
    const state: State = {
      ...this.state,
      pendingLog: [],
      databaseEtag: etag,
      databaseBytes: database.bytes,
      files: files
        ? { entities: files.entities, etag: files.areComplete ? etag : undefined }
        : this.state.files,
    };
    await this.#save({ state, etag: this.#options.loaded.etag });
    return { database, state };
  }
}
