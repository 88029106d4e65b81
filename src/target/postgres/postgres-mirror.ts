import type { TableConfig } from '../../config/entities.ts';
import { ConfigurationError, type SkipTableError } from '../../errors.ts';
import type { SchemaChange } from '../../schema/migration.ts';
import type { Table } from '../../schema/table.ts';
import type { Sqlite } from '../../sqlite/sqlite.ts';
import type { ChangePoint, MirrorNews, RowsPage, RowsRequest } from '../changes.ts';
import { referableTables } from '../common/referable-tables.ts';
import { storableTables } from '../common/storable-tables.ts';
import type { CheckOptions, CheckProgress, CheckStep } from '../mirror-check.ts';
import type { MirrorContents } from '../mirror-contents.ts';
import type {
  DanglingReport,
  MirrorTarget,
  MirrorTransaction,
  ReceivedMirror,
  ShardToStage,
  TransactionOptions,
} from '../mirror-target.ts';
import { configuredTables, type LoadedState, type State, tablesOf } from '../state.ts';
import { createBookkeeping } from './bookkeeping/bookkeeping-tables.ts';
import { newsSince } from './bookkeeping/changes-table.ts';
import { claimMirror } from './bookkeeping/claim-mirror.ts';
import { lockState, type ReadState, readState, writeState } from './bookkeeping/stored-state.ts';
import { arrangeTables } from './cluster/arrange-tables.ts';
import { lockForCommit, waitForCommits } from './cluster/commit-lock.ts';
import { keepPlaces } from './cluster/move-lock.ts';
import { prepareCluster } from './cluster/placements.ts';
import { waitForUnfinished } from './cluster/unfinished-commits.ts';
import { Connections, type PostgresOptions } from './connection/connections.ts';
import { readRows } from './export/read-rows.ts';
import { checkMirror } from './postgres-check.ts';
import { PostgresTransaction } from './postgres-transaction.ts';
import { PostgresContents } from './receive/postgres-contents.ts';
import { receiveMirror } from './receive/receive-mirror.ts';
import { findDangling } from './rows/dangling-references.ts';
import { rowIds } from './rows/live-rows.ts';
import { planOf } from './schema/migrate-table.ts';
import { postgresEngine } from './schema/names.ts';
import { Staging } from './staging/staging.ts';

/** So long after a reader held a table, others are hardly waited for. */
const heldMilliseconds = 60_000;

/** A mirror with more rows is not searched for references while somebody waits. */
const searchedRows = 1_000_000;

export interface PostgresMirrorOptions {
  /** For shards. */
  sqlite: Sqlite;
  /** Tells the app that writes the mirror from others. */
  app?: string;
  connection: PostgresOptions;
  /** Tables with more rows are not gone through for a figure about them that is kept. */
  scanRows?: number;
  /** On a cluster, tables with as many rows are distributed. Undefined: tables stay where they are. */
  distributeRows?: number | undefined;
  /** Smaller shards are not staged, in bytes. */
  stagedBytes?: number;
}

/**
 * The mirror as the tables of one schema of PostgreSQL, with the state beside them. Rows, cursors and log of a round are one
 * transaction, so readers see whole rounds.
 */
export class PostgresMirror implements MirrorTarget {
  readonly #options: PostgresMirrorOptions;
  readonly #connections: Connections;
  readonly #staging: Staging;
  #heldUntil = 0;
  /** The state as it was read last. */
  #known: ReadState | undefined;

  constructor(options: PostgresMirrorOptions) {
    this.#options = options;
    this.#connections = new Connections(options.connection);
    this.#staging = new Staging(this.#connections, options.sqlite, options.stagedBytes);
  }

  /** Closes the connections. */
  close(): Promise<void> {
    return this.#connections.close();
  }

  ask(): Promise<void> {
    return this.#connections.read(async (session) => void (await session.run('SELECT 1')));
  }

  storableTables(
    tables: readonly Table[],
    configs: ReadonlyMap<string, TableConfig>,
    state: State,
  ): { tables: Table[]; rejected: Map<string, SkipTableError> } {
    return storableTables(tables, configs, state, postgresEngine);
  }

  schemaChanges(state: State, table: Table, synced: readonly Table[]): SchemaChange[] {
    const before = state.entities[table.logicalName]?.table;
    return planOf(before, table, { synced: referableTables(synced, state), syncedBefore: tablesOf(state) })
      .changes;
  }

  async loadState(): Promise<LoadedState> {
    const read = await this.#connections.read((session) => readState(session, this.#known));
    this.#known = read.isWhole ? structuredClone(read) : undefined;
    const { state, etag } = read;
    return { state, etag };
  }

  /** Reads all of the mirror in one state. @throws ConfigurationError if there is none */
  withContents<T>(work: (contents: MirrorContents) => Promise<T>): Promise<T> {
    return this.#connections.readOnce(async (session) => {
      const { state, etag } = await readState(session);
      if (etag === undefined) {
        throw new ConfigurationError(`The schema ${session.schema} has no mirror.`, {
          operation: 'move the mirror',
          object: session.schema,
          hint: 'Check POSTGRES_URL and POSTGRES_SCHEMA.',
        });
      }
      return work(await PostgresContents.open(session, state));
    }, keepPlaces);
  }

  receive(contents: MirrorContents): Promise<ReceivedMirror> {
    return this.#connections.write(async (session, commit) => {
      const received = await receiveMirror(session, contents);
      await commit();
      return received;
    });
  }

  async lastState(): Promise<State | undefined> {
    const { state, etag } = await this.loadState();
    return etag === undefined ? undefined : state;
  }

  saveState({ state, etag }: LoadedState): Promise<void> {
    return this.#connections.write(async (session, commit) => {
      await createBookkeeping(session);
      await lockState(session, etag);
      await writeState(session, state);
      await commit();
    });
  }

  transaction<T>(options: TransactionOptions, work: (mirror: MirrorTransaction) => Promise<T>): Promise<T> {
    const { sqlite, scanRows, distributeRows, app } = this.#options;
    return this.#connections.write(async (session, end) => {
      await prepareCluster(session);
      await waitForUnfinished(session);
      const commit = async (): Promise<void> => {
        await lockForCommit(session);
        await end();
      };
      await createBookkeeping(session);
      if (app !== undefined) await claimMirror(session, app);
      await lockState(session, options.loaded.etag);
      // The merge starts over without a table that is held. It does not wait for the others again.
      if (Date.now() < this.#heldUntil) session.shortenWaits();
      const onHeld = () => {
        this.#heldUntil = Date.now() + heldMilliseconds;
      };
      return work(
        new PostgresTransaction({
          ...{ session, sqlite, transaction: options, commit, scanRows, distributeRows, onHeld },
        }),
      );
    });
  }

  rowIds(table: Table): Promise<string[]> {
    return this.#connections.read((session) => rowIds(session, table));
  }

  stageShard(shard: ShardToStage): Promise<void> {
    return this.#staging.stage(shard);
  }

  dropStaged(runId: string, whose: 'own' | 'others'): Promise<void> {
    return this.#staging.drop(runId, whose);
  }

  async arrange(): Promise<void> {
    const { distributeRows } = this.#options;
    if (distributeRows !== undefined) await arrangeTables(this.#connections, distributeRows);
  }

  findDangling(): Promise<DanglingReport | 'large' | undefined> {
    return this.#connections.read(async (session) => {
      const { state } = await readState(session, this.#known);
      const { databaseEtag: etag, databaseBytes: bytes = 0 } = state;
      if (etag === undefined) return undefined;
      const rows = Object.values(state.entities).reduce((sum, one) => sum + one.rows, 0);
      if (rows > searchedRows) return 'large';
      const tables = configuredTables(state);
      return {
        database: { etag, bytes },
        tables: tables.length,
        foreignKeys: await findDangling(session, tables),
      };
    }, keepPlaces);
  }

  async newsSince(exported: Readonly<Record<string, ChangePoint>>): Promise<MirrorNews | undefined> {
    let isOnNodes = false;
    const found = await this.#connections.read(async (session) => {
      isOnNodes = session.isOfCluster;
      const { state } = await readState(session, this.#known);
      const { databaseEtag: etag } = state;
      if (etag === undefined) return undefined;
      const { latest, newsOf } = await newsSince(session, exported, etag);
      const tables = tablesOf(state).map((table) => ({ table, latest, news: newsOf(table.logicalName) }));
      return { etag, tables };
    });
    if (isOnNodes && found !== undefined) await this.#connections.beside(waitForCommits);
    return found;
  }

  readRows(request: RowsRequest): Promise<RowsPage | undefined> {
    return this.#connections.read(async (session) => {
      const { state } = await readState(session, this.#known);
      const table = state.entities[request.table.logicalName]?.table;
      if (table === undefined) return undefined;
      return readRows(session, table, request);
    }, keepPlaces);
  }

  checkStep(before: CheckProgress | undefined, options: CheckOptions): Promise<CheckStep> {
    return this.#connections.read(async (session) => {
      const { state } = await readState(session, this.#known);
      return checkMirror(session, state, before, options);
    }, keepPlaces);
  }
}
