import { randomUUID } from 'node:crypto';
import { ConflictError, RetriableError, SkipTableError } from '../../errors.ts';
import type { Table } from '../../schema/table.ts';
import { Shard } from '../../sqlite/shard.ts';
import type { Sqlite } from '../../sqlite/sqlite.ts';
import { referableTables } from '../common/referable-tables.ts';
import type {
  Closure,
  CommitContents,
  FetchedFile,
  FileComparison,
  FileKey,
  FoundOutcome,
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
  comparedFiles,
  configuredTables,
  type DatabaseReport,
  type State,
  type SyncLogRow,
  tablesOf,
  unchangedReport,
  withPendingLog,
} from '../state.ts';
import { metaNames, readMeta, writeMeta } from './bookkeeping/bookkeeping-tables.ts';
import { ChangesTable, dropChanges, forgetChanges } from './bookkeeping/changes-table.ts';
import { writeState } from './bookkeeping/stored-state.ts';
import { prune, writeLog } from './bookkeeping/sync-log.ts';
import { writeForeignKeys, writeNames } from './bookkeeping/table-lists.ts';
import { placeTable } from './cluster/place-table.ts';
import type { Session } from './connection/session.ts';
import { findUnlabelled, writeLabels } from './labels/choices.ts';
import { findClosure } from './rows/closure.ts';
import { countDangling, type DanglingCounts, totalDangling } from './rows/dangling-references.ts';
import { databaseBytes } from './rows/database-size.ts';
import { deleteRows } from './rows/delete-rows.ts';
import { contentDigest, findReferrers } from './rows/digests.ts';
import { compareFiles, writeFiles } from './rows/files.ts';
import { History } from './rows/history.ts';
import { countRows, rowIds } from './rows/live-rows.ts';
import { mergeTable } from './rows/merge-table.ts';
import { TemporaryTables } from './rows/temporary-tables.ts';
import { dropTable } from './schema/drop-table.ts';
import { migrateTable, planOf } from './schema/migrate-table.ts';
import { storedColumns } from './schema/stored-columns.ts';
import { findStaged, type StagedShard, stagedNames } from './staging/staged-shards.ts';

/** Tables with more rows are not gone through for a figure about them that is kept. */
const defaultScanRows = 200_000;
/** How often all references, and the rows of each large table, are counted again, in hours. */
const recountHours = 24;

/** Each staged shard is a lock or more until the transaction ends (postgresql.org: max_locks_per_transaction). */
const maxStaged = 500;

export interface PostgresTransactionOptions {
  session: Session;
  sqlite: Sqlite;
  transaction: TransactionOptions;
  /** Ends the transaction. */
  commit: () => Promise<void>;
  /** Is told that a reader holds a table. */
  onHeld: () => void;
  scanRows?: number | undefined;
  /** On a cluster, tables with as many rows are distributed. */
  distributeRows?: number | undefined;
}

/** Whether the last count was too long ago. */
function isDue(countedAt: string | undefined, at: string): boolean {
  return countedAt === undefined || Date.parse(at) - Date.parse(countedAt) > recountHours * 3_600_000;
}

/** Works on the database in one transaction. `commit` ends it. */
export class PostgresTransaction implements MirrorTransaction {
  readonly state: State;
  readonly #session: Session;
  readonly #temporary: TemporaryTables;
  readonly #sqlite: Sqlite;
  readonly #options: TransactionOptions;
  readonly #end: () => Promise<void>;
  readonly #onHeld: () => void;
  readonly #scanRows: number;
  readonly #distributeRows: number | undefined;
  /** The tables that the database held before. */
  readonly #before: readonly Table[];
  /** How many rows the tables have, by logical name. */
  readonly #rows: Map<string, number>;
  readonly #changes: ChangesTable | undefined;
  #isChanged = false;
  /** Of all shards that are staged. */
  #stagedNames: ReadonlySet<string> | undefined;
  #stagedLeft = maxStaged;

  constructor(options: PostgresTransactionOptions) {
    const { session, sqlite, transaction, commit, scanRows, onHeld } = options;
    const { state } = transaction.loaded;
    this.state = { ...state, entities: { ...state.entities } };
    this.#session = session;
    this.#temporary = new TemporaryTables(session);
    this.#sqlite = sqlite;
    this.#options = transaction;
    this.#end = commit;
    this.#onHeld = onHeld;
    const isTracked = typeof transaction.tracking === 'object';
    this.#changes = isTracked ? new ChangesTable(session, state.databaseEtag ?? '') : undefined;
    this.#scanRows = scanRows ?? defaultScanRows;
    this.#distributeRows = options.distributeRows;
    this.#before = tablesOf(state);
    this.#rows = new Map(Object.entries(state.entities).map(([name, { rows }]) => [name, rows]));
  }

  async findOutcome(isOwn: (outcome: unknown) => boolean): Promise<FoundOutcome | undefined> {
    const text = await readMeta(this.#session, metaNames.outcome);
    const outcome = text === undefined ? undefined : (JSON.parse(text) as unknown);
    if (!isOwn(outcome)) return undefined;
    return { outcome, isComplete: true, of: () => outcome };
  }

  /** A table without news costs nothing if nothing is done with it. */
  isOpen(): boolean {
    return false;
  }

  #isLarge({ logicalName }: Pick<Table, 'logicalName'>): boolean {
    return (this.#rows.get(logicalName) ?? 0) > this.#scanRows;
  }

  /** The rows of the table that are not marked as deleted, as they are kept if it is large. */
  #rowsOf(table: Table): Promise<number> | number {
    return this.#isLarge(table) ? this.#rows.get(table.logicalName)! : countRows(this.#session, table);
  }

  /** Another writer can have changed a large table, whose kept number of rows would be wrong for ever. */
  async #isRecountDue({ logicalName }: Table): Promise<boolean> {
    const { recounts, at } = this.#options;
    return recounts === true && isDue((await this.#countTimes())[logicalName], at);
  }

  async #countTimes(): Promise<Record<string, string>> {
    return JSON.parse((await readMeta(this.#session, metaNames.rowsCountedAt)) ?? '{}');
  }

  async #noteCount({ logicalName }: Table): Promise<void> {
    const times = { ...(await this.#countTimes()), [logicalName]: this.#options.at };
    await writeMeta(this.#session, metaNames.rowsCountedAt, JSON.stringify(times));
  }

  mergeTable(table: Table, shards: readonly ShardPart[], options: MergeOptions): Promise<TableMerge> {
    return this.#session.about(table.logicalName, async () => {
      const { runId, at, synced } = this.#options;
      const before = this.state.entities[table.logicalName]?.table;
      const migrated = await this.#unlessHeld(before !== undefined, () =>
        migrateTable(this.#session, before, table, {
          ...{ runId, at, synced: referableTables(synced, this.state), syncedBefore: this.#before },
        }),
      );
      const isOther = before === undefined || migrated.hasOtherValues;
      if (isOther) await this.#changes?.recordAll(table.logicalName);
      if (before === undefined || migrated.hasNewKey) this.#rows.delete(table.logicalName);
      const isLarge = this.#isLarge(migrated.table);
      const isRecounted = isLarge && (await this.#isRecountDue(table));
      const staged = await this.#staged(shards);
      if (before === undefined) await this.#placeNew(migrated.table, staged);
      const parts = shards.map(({ name = '', read, isFinal }) => ({
        open: async () => Shard.open(this.#sqlite, await read()),
        isFinal,
        staged: staged.get(name),
      }));
      const { historyChanged, ...counts } = await mergeTable(this.#session, migrated.table, parts, {
        ...options,
        // What the migration made of a value is a version, too.
        startHistory: options.startHistory || migrated.hasOtherValues,
        temporary: this.#temporary,
        // A table that is new, or has other values, is exported as a whole.
        changes: isOther ? undefined : this.#changes,
        ...{ runId, at, isCounted: !isLarge },
        rowsBefore: await (isRecounted
          ? countRows(this.#session, migrated.table)
          : this.#rowsOf(migrated.table)),
      });
      this.#rows.set(table.logicalName, counts.rows);
      if (isRecounted || (!isLarge && this.#isLarge(table))) await this.#noteCount(table);
      const schemaChanges = migrated.changes + Number(historyChanged);
      this.#isChanged ||= schemaChanges + counts.added + counts.updated + counts.deleted > 0;
      return { ...counts, table: migrated.table, schemaChanges };
    });
  }

  /** A large table is distributed while it is empty: then its rows do not move. Others are placed after the run. */
  async #placeNew(table: Table, staged: ReadonlyMap<string, StagedShard>): Promise<void> {
    const rows = [...staged.values()].reduce((sum, shard) => sum + shard.rows, 0);
    if (this.#distributeRows === undefined || rows < this.#distributeRows) return;
    if (!this.#session.isOfCluster) return;
    const refusal = await this.#session.refusal(
      async () => void (await placeTable(this.#session, table, 'distributed')),
    );
    // Where it is not possible, the end of the run says why: the table is merged all the same.
    if (refusal instanceof RetriableError || refusal instanceof ConflictError) throw refusal;
  }

  /**
   * Changes definitions of a table. Where a reader holds it for long, it stays as it was, and the transaction can go on.
   * @param isThere whether readers can hold it
   * @throws SkipTableError instead of RetriableError
   */
  async #unlessHeld<T>(isThere: boolean, work: () => Promise<T>): Promise<T> {
    if (!isThere) return work();
    let result: T;
    const refusal = await this.#session.refusal(async () => {
      result = await work();
    });
    if (refusal === undefined) return result!;
    if (!(refusal instanceof RetriableError)) throw refusal;
    this.#onHeld();
    this.#session.shortenWaits();
    const { message, operation, object, hint } = refusal;
    throw new SkipTableError(message, { operation, object, hint, cause: refusal });
  }

  /** Which of the shards are staged, as far as the locks of the server suffice for their tables. */
  async #staged(shards: readonly ShardPart[]): Promise<ReadonlyMap<string, StagedShard>> {
    const names = shards.flatMap(({ name }) => name ?? []);
    if (names.length === 0) return new Map();
    this.#stagedNames ??= await stagedNames(this.#session);
    const known = names.filter((name) => this.#stagedNames!.has(name)).slice(0, this.#stagedLeft);
    this.#stagedLeft -= known.length;
    return known.length === 0 ? new Map() : findStaged(this.#session, known);
  }

  /** Takes the keys of all rows at once, so not of a large table. */
  async contentDigest(table: Table, since?: string): Promise<string | undefined> {
    return this.#isLarge(table) ? undefined : contentDigest(this.#session, table, since);
  }

  rowIds(table: Table): Promise<string[]> {
    return rowIds(this.#session, table);
  }

  findClosure(
    tables: readonly Table[],
    filtered: ReadonlySet<string>,
    withPresent: ReadonlySet<string> = new Set(),
  ): Promise<Closure> {
    return findClosure(this.#session, tables, filtered, withPresent);
  }

  referrers(tables: readonly Table[], target: string, ids: readonly string[]): Promise<Referrers> {
    return findReferrers(this.#session, tables, target, ids);
  }

  removeRows(table: Table, ids: readonly string[], options: RemoveOptions): Promise<RemovedRows> {
    return this.#session.about(table.logicalName, async () => {
      const session = this.#session;
      const { runId, at } = this.#options;
      const keyType = (await storedColumns(session, table.name)).get(table.primaryKey)!;
      const unneeded = await this.#temporary.open('unneeded_rows', `id ${keyType}`);
      await session.run(`INSERT INTO ${unneeded} SELECT unnest($1::text[])::${keyType}`, [ids]);
      const { deleted, heldBack } = await deleteRows(session, table, unneeded, {
        ...{ temporary: this.#temporary, keyType },
        ...{
          runId,
          at,
          massDeleteLimit: options.massDeleteLimit,
          rowsBefore: await this.#rowsOf(table),
          mark: false,
          changes: this.#changes,
        },
        history: options.history ? await History.open(session, table, { at }) : undefined,
      });
      await this.#temporary.empty(unneeded);
      const before = this.#rows.get(table.logicalName);
      if (before !== undefined) this.#rows.set(table.logicalName, before - deleted);
      this.#isChanged ||= deleted > 0;
      return { removed: deleted, heldBack };
    });
  }

  async dropTable(logicalName: string): Promise<void> {
    const { entities } = this.state;
    const { runId, at, synced } = this.#options;
    const dropped = entities[logicalName];
    if (dropped === undefined) return;
    const others = tablesOf(this.state).filter((table) => table.logicalName !== logicalName);
    await this.#unlessHeld(true, () =>
      this.#session.about(logicalName, () => dropTable(this.#session, dropped.table, others, { runId, at })),
    );
    delete entities[logicalName];
    await forgetChanges(this.#session, logicalName);
    this.#isChanged = true;
    // Tables of the run list other foreign keys as they are merged. Others would never lose theirs.
    const merged = new Set(synced.map((table) => table.logicalName));
    const referable = referableTables(synced, this.state);
    for (const [name, known] of Object.entries(entities)) {
      if (merged.has(name)) continue;
      const { table } = planOf(known.table, known.table, { synced: referable, syncedBefore: this.#before });
      entities[name] = { ...known, table };
    }
  }

  async writeLabels(
    digest: string | undefined,
    read: (digest: string) => Promise<Labels | undefined>,
  ): Promise<boolean> {
    const isChanged = await writeLabels(this.#session, tablesOf(this.state), digest, read);
    this.#isChanged ||= isChanged;
    return isChanged;
  }

  findUnlabelled(): Promise<{ logicalName: string; table: string; column: string }[]> {
    const { runId, at } = this.#options;
    return findUnlabelled(this.#session, tablesOf(this.state), { runId, at });
  }

  async countDangling(changed: ReadonlySet<string>): Promise<number> {
    const session = this.#session;
    const { at } = this.#options;
    const before = JSON.parse((await readMeta(session, metaNames.dangling)) ?? '{}') as DanglingCounts;
    const countedAt = await readMeta(session, metaNames.countedAt);
    const isRecounted = isDue(countedAt, at);
    const tables = configuredTables(this.state);
    const counts = await countDangling(session, tables, {
      before,
      changed: isRecounted ? undefined : changed,
      isKept: (table) => this.#isLarge(table),
    });
    await writeMeta(session, metaNames.dangling, JSON.stringify(counts));
    if (isRecounted) await writeMeta(session, metaNames.countedAt, at);
    return totalDangling(counts);
  }

  compareFiles(tables: readonly Table[]): Promise<FileComparison> {
    return compareFiles(this.#session, tables);
  }

  async writeFiles(fetched: readonly FetchedFile[], removed: readonly FileKey[], at: string): Promise<void> {
    this.#isChanged ||= fetched.length + removed.length > 0;
    await writeFiles(this.#session, fetched, removed, at);
  }

  async saveUnchanged(
    log: readonly SyncLogRow[],
  ): Promise<{ database: DatabaseReport; state: State } | undefined> {
    if (this.#isChanged || this.state.databaseEtag === undefined) return undefined;
    const state = withPendingLog(this.state, log);
    await writeState(this.#session, state);
    await this.#end();
    return { database: unchangedReport(state), state };
  }

  async commit({
    log = [],
    outcome,
    files,
  }: CommitContents): Promise<{ database: DatabaseReport; state: State }> {
    const session = this.#session;
    const { runId, at } = this.#options;
    await writeLog(session, [...this.state.pendingLog, ...log]);
    await prune(session, at);
    const { tracking } = this.#options;
    if (typeof tracking === 'object') await this.#changes?.finish(tracking.exported);
    else if (tracking === 'off') await dropChanges(session);
    const tables = tablesOf(this.state);
    await writeForeignKeys(session, tables);
    await writeNames(session, tables);
    if (outcome !== undefined) await writeMeta(session, metaNames.outcome, JSON.stringify(outcome));
    const bytes = await databaseBytes(session);
    const committed: State = { ...this.state, pendingLog: [], databaseBytes: bytes };
    // The rows have another ETag now.
    const etag = randomUUID();
    const state: State = { ...committed, databaseEtag: etag };
    const stored: State = { ...state, files: files ? comparedFiles(files, state) : state.files };
    await writeState(session, stored, runId);
    await this.#end();
    return { database: { bytes, stagedBlocks: 0, stagedBytes: 0, etag }, state: stored };
  }
}
