import type { TableConfig } from '../../config/entities.ts';
import type { SkipTableError } from '../../errors.ts';
import type { SchemaChange } from '../../schema/migration.ts';
import type { Table } from '../../schema/table.ts';
import type { Sqlite } from '../../sqlite/sqlite.ts';
import type { DatabaseFile } from '../../storage/database/database-file.ts';
import type { DocumentStore } from '../../storage/document-store.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type {
  DanglingReport,
  MirrorTarget,
  MirrorTransaction,
  TransactionOptions,
} from '../mirror-target.ts';
import { emptyState, type LoadedState, type State, tablesOf } from '../state.ts';
import { MirrorDatabase } from './database/mirror-database.ts';
import { migrationOf, referableTables } from './migrations.ts';
import { RecountSchedule } from './recount-schedule.ts';
import { SqliteTransaction } from './sqlite-transaction.ts';
import { StateFile } from './state-file.ts';
import { storableTables } from './storable-tables.ts';

/** Of a database that is larger than its cache so many times, every part would be read many times. */
const readCaches = 8;

export interface SqliteMirrorOptions {
  sqlite: Sqlite;
  file: DatabaseFile;
  /** Where `state.json` is. */
  documents: DocumentStore;
  /** The greatest size of the database, in bytes. */
  maxBytes: number;
  /** The memory for the database, in bytes. */
  cacheBytes: number;
  /** See `MirrorDatabaseOptions`. */
  scanRows?: number;
  /** How often figures about large tables are counted again; 0: never. */
  checkHours: number;
  telemetry: Telemetry;
}

/**
 * The mirror as one SQLite file. The state in the database decides. `state.json` caches it, so that a run in which
 * nothing changed moves no byte of the database.
 */
export class SqliteMirror implements MirrorTarget {
  readonly #file: DatabaseFile;
  readonly #stateFile: StateFile;
  readonly #database: MirrorDatabase;
  readonly #recounts: RecountSchedule;
  readonly #cacheBytes: number;
  readonly #telemetry: Telemetry;

  constructor(options: SqliteMirrorOptions) {
    const { file, documents, checkHours, telemetry } = options;
    this.#file = file;
    this.#stateFile = new StateFile(documents);
    this.#database = new MirrorDatabase(options);
    this.#recounts = new RecountSchedule(documents, checkHours);
    this.#cacheBytes = options.cacheBytes;
    this.#telemetry = telemetry;
  }

  /** Gives the memory of the database back. */
  close(): Promise<void> {
    return this.#database.close();
  }

  storableTables(
    tables: readonly Table[],
    configs: ReadonlyMap<string, TableConfig>,
    state: State,
  ): { tables: Table[]; rejected: Map<string, SkipTableError> } {
    return storableTables(tables, configs, state);
  }

  schemaChanges(state: State, table: Table, synced: readonly Table[]): SchemaChange[] {
    const before = state.entities[table.logicalName]?.table;
    return migrationOf(before, table, referableTables(synced, state), tablesOf(state)).changes;
  }

  /** After a restore of the database, or a crash between its commit and that of `state.json`, the database decides. */
  async loadState(): Promise<LoadedState> {
    const [saved, databaseEtag] = await Promise.all([this.#stateFile.read(), this.#file.currentEtag()]);
    const { state: described, etag } = saved ?? {};
    if (described !== undefined && described.databaseEtag === databaseEtag) return { state: described, etag };
    if (databaseEtag === undefined) return { state: emptyState(), etag };
    this.#telemetry.log(
      'warn',
      'state.json is damaged or describes another database; the state is read from the database.',
    );
    const state = await this.#database.read(async ({ work, etag: current }) => ({
      ...(await work.readState()),
      databaseEtag: current,
    }));
    return { state: state ?? emptyState(), etag };
  }

  async lastState(): Promise<State | undefined> {
    return (await this.#stateFile.read())?.state;
  }

  saveState(loaded: LoadedState): Promise<void> {
    return this.#stateFile.save(loaded);
  }

  transaction<T>(options: TransactionOptions, work: (mirror: MirrorTransaction) => Promise<T>): Promise<T> {
    const save = (loaded: LoadedState) => this.saveState(loaded);
    return this.#database.change(async (open) => {
      const isRead = open.length <= readCaches * this.#cacheBytes;
      const putBack =
        options.recounts && !open.isSmall && isRead ? await this.#recounts.begin(options.at) : undefined;
      const isDeep = open.isSmall || (putBack !== undefined && open.etag !== undefined);
      const transaction = await SqliteTransaction.begin(open, options, isDeep, save);
      try {
        return await work(transaction);
      } finally {
        if (!transaction.isCommitted) await putBack?.();
      }
    }, options.incomingBytes);
  }

  findDangling(): Promise<DanglingReport | undefined> {
    return this.#database.read(async ({ work, etag }) => {
      const { databaseBytes: bytes = 0 } = await work.readState();
      return { database: { etag: etag!, bytes }, ...(await work.findDangling()) };
    });
  }
}
