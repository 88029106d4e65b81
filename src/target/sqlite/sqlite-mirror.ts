import type { TableConfig } from '../../config/entities.ts';
import type { SkipTableError } from '../../errors.ts';
import type { SchemaChange } from '../../schema/migration.ts';
import type { Table } from '../../schema/table.ts';
import type { Sqlite } from '../../sqlite/sqlite.ts';
import type { DatabaseFile } from '../../storage/database/database-file.ts';
import { type DocumentStore, unlessDamaged } from '../../storage/document-store.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type {
  DanglingReport,
  MirrorTarget,
  MirrorTransaction,
  TransactionOptions,
} from '../mirror-target.ts';
import { emptyState, type LoadedState, type State, tablesOf } from '../state.ts';
import { MirrorDatabase } from './database/mirror-database.ts';
import type { OpenDatabase } from './database/open-database.ts';
import { migrationOf, referableTables } from './migrations.ts';
import { SqliteTransaction } from './sqlite-transaction.ts';
import { StateFile } from './state-file.ts';
import { storableTables } from './storable-tables.ts';

/** When figures about large tables were counted last. */
const lastCheckName = 'last-check.json';
/** Of a database that is larger than its cache so many times, every part would be read many times. */
const checkedCaches = 8;

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
  readonly #documents: DocumentStore;
  readonly #checkHours: number;
  readonly #cacheBytes: number;
  readonly #telemetry: Telemetry;

  constructor(options: SqliteMirrorOptions) {
    const { file, documents, checkHours, telemetry } = options;
    this.#file = file;
    this.#stateFile = new StateFile(documents);
    this.#database = new MirrorDatabase(options);
    this.#documents = documents;
    this.#checkHours = checkHours;
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
    return this.#database.change(async (open) => {
      const isDeep = open.isSmall || (await this.#isCheckDue(open, options.at));
      const save = (loaded: LoadedState) => this.saveState(loaded);
      return work(await SqliteTransaction.begin(open, options, isDeep, save));
    }, options.incomingBytes);
  }

  /**
   * Whether to go through all of a large database in this transaction. That is noted before it begins: if the time of the
   * invocation does not suffice, the next try goes without.
   */
  async #isCheckDue({ etag, length }: OpenDatabase, at: string): Promise<boolean> {
    if (this.#checkHours === 0 || length > checkedCaches * this.#cacheBytes) return false;
    const last = await unlessDamaged(this.#documents.read<{ at: string }>(lastCheckName));
    const sinceLast = Date.parse(at) - Date.parse(last?.value.at ?? at);
    const isDue = !(sinceLast < this.#checkHours * 3_600_000);
    // What was loaded a moment ago needs no check.
    if (isDue || last === undefined || etag === undefined) await this.#documents.put(lastCheckName, { at });
    return isDue && etag !== undefined;
  }

  findDangling(): Promise<DanglingReport | undefined> {
    return this.#database.read(async ({ work, etag }) => {
      const { databaseBytes: bytes = 0 } = await work.readState();
      return { database: { etag: etag!, bytes }, ...(await work.findDangling()) };
    });
  }
}
