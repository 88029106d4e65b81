import type { Table } from '../../schema/table.ts';
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
  type DatabaseReport,
  type LoadedState,
  type State,
  type SyncLogRow,
  withPendingLog,
} from '../state.ts';
import type { OpenDatabase } from './database/open-database.ts';
import type { Work } from './database-work.ts';

/** Works on the database. `commit` stores the file, then `state.json`. */
export class SqliteTransaction implements MirrorTransaction {
  readonly state: State;
  readonly lastOutcome: unknown;
  /** Whether the database was stored. */
  isCommitted = false;
  readonly #open: OpenDatabase;
  readonly #work: Work;
  readonly #options: TransactionOptions;
  readonly #save: (loaded: LoadedState) => Promise<void>;

  private constructor(
    open: OpenDatabase,
    options: TransactionOptions,
    save: (loaded: LoadedState) => Promise<void>,
    begun: { state: State; lastOutcome: unknown },
  ) {
    this.state = begun.state;
    this.lastOutcome = begun.lastOutcome;
    this.#open = open;
    this.#work = open.work;
    this.#options = options;
    this.#save = save;
  }

  /** @param isDeep whether figures about large tables are counted again */
  static async begin(
    open: OpenDatabase,
    options: TransactionOptions,
    isDeep: boolean,
    save: (loaded: LoadedState) => Promise<void>,
  ): Promise<SqliteTransaction> {
    const { runId, at, synced, loaded } = options;
    const isOfDatabase = loaded.state.databaseEtag === open.etag;
    const known = isOfDatabase ? { ...loaded.state, entities: { ...loaded.state.entities } } : undefined;
    const begun = await open.work.begin({ runId, at, synced, isDeep }, known);
    return new SqliteTransaction(open, options, save, { ...begun, state: known ?? begun.state });
  }

  mergeTable(table: Table, shards: readonly ShardPart[], options: MergeOptions): Promise<TableMerge> {
    const parts = shards.map(({ isFinal }) => ({ isFinal }));
    return this.#work.mergeTable(this.state, table, parts, options, (index) => shards[index]!.read());
  }

  contentDigest(table: Table, since?: string): Promise<string | undefined> {
    return this.#work.contentDigest(table, since);
  }

  rowIds(table: Table): Promise<string[]> {
    return this.#work.rowIds(table);
  }

  findClosure(
    tables: readonly Table[],
    filtered: ReadonlySet<string>,
    withPresent?: ReadonlySet<string>,
  ): Promise<Closure> {
    return this.#work.findClosure(this.state, tables, filtered, withPresent);
  }

  referrers(tables: readonly Table[], target: string, ids: readonly string[]): Promise<Referrers> {
    return this.#work.referrers(tables, target, ids);
  }

  async dropTable(logicalName: string): Promise<void> {
    this.state.entities = await this.#work.dropTable(this.state, logicalName);
  }

  removeRows(table: Table, ids: readonly string[], options: RemoveOptions): Promise<RemovedRows> {
    return this.#work.removeRows(table, ids, options);
  }

  writeLabels(
    digest: string | undefined,
    read: (digest: string) => Promise<Labels | undefined>,
  ): Promise<boolean> {
    return this.#work.writeLabels(this.state, digest, read);
  }

  findUnlabelled(): Promise<{ logicalName: string; table: string; column: string }[]> {
    return this.#work.findUnlabelled(this.state);
  }

  countDangling(changed: ReadonlySet<string>): Promise<number> {
    return this.#work.countDangling(this.state, changed);
  }

  compareFiles(tables: readonly Table[]): Promise<FileComparison> {
    return this.#work.compareFiles(tables);
  }

  writeFiles(fetched: readonly FetchedFile[], removed: readonly FileKey[], at: string): Promise<void> {
    return this.#work.writeFiles(fetched, removed, at);
  }

  async saveUnchanged(
    log: readonly SyncLogRow[],
  ): Promise<{ database: DatabaseReport; state: State } | undefined> {
    const { etag } = this.#open;
    const { databaseEtag, databaseBytes: bytes = 0 } = this.state;
    if (etag === undefined || databaseEtag !== etag) return undefined;
    const state = withPendingLog(this.state, log);
    await this.#save({ state, etag: this.#options.loaded.etag });
    this.#open.keep();
    return { database: { bytes, stagedBlocks: 0, stagedBytes: 0, etag }, state };
  }

  async commit({
    log = [],
    outcome,
    files,
  }: CommitContents): Promise<{ database: DatabaseReport; state: State }> {
    await this.#work.finish(this.state, log, outcome);
    if (this.#open.isSmall) await this.#work.check();
    const database = await this.#open.store();
    this.isCommitted = true;
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
