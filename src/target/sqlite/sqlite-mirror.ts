import type { TableConfig } from '../../config/entities.ts';
import type { SkipTableError } from '../../errors.ts';
import type { SchemaChange } from '../../schema/migration.ts';
import type { Table } from '../../schema/table.ts';
import type { Sqlite } from '../../sqlite/sqlite.ts';
import type { DatabaseFile } from '../../storage/database-file.ts';
import type { DocumentStore } from '../../storage/document-store.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type {
  DanglingReport,
  MirrorTarget,
  MirrorTransaction,
  TransactionOptions,
} from '../mirror-target.ts';
import { configuredTables, emptyState, type LoadedState, type State, tablesOf } from '../state.ts';
import { DatabaseCache } from './database-cache.ts';
import { migrationOf, referableTables } from './migrations.ts';
import { findDangling } from './rows/dangling-references.ts';
import { SqliteTransaction } from './sqlite-transaction.ts';
import { StateFile } from './state-file.ts';
import { storableTables } from './storable-tables.ts';
import { readState } from './tables/bookkeeping.ts';

export interface SqliteMirrorOptions {
  sqlite: Sqlite;
  file: DatabaseFile;
  /** Where `state.json` is. */
  documents: DocumentStore;
  /** The greatest size of the database, in bytes. */
  maxBytes: number;
  telemetry: Telemetry;
}

/**
 * The mirror as one SQLite file. The state in the database decides. `state.json` caches it, so that a run in which
 * nothing changed moves no byte of the database.
 */
export class SqliteMirror implements MirrorTarget {
  readonly #file: DatabaseFile;
  readonly #stateFile: StateFile;
  readonly #cache: DatabaseCache;
  readonly #telemetry: Telemetry;

  constructor({ sqlite, file, documents, maxBytes, telemetry }: SqliteMirrorOptions) {
    this.#file = file;
    this.#stateFile = new StateFile(documents);
    this.#cache = new DatabaseCache(file, sqlite, maxBytes);
    this.#telemetry = telemetry;
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
    const state = await this.#cache.read((db, current) => ({
      ...readState(db),
      databaseEtag: current,
      databaseBytes: db.byteLength,
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
    return this.#cache.change(
      (change) => work(new SqliteTransaction(change, options, (loaded) => this.saveState(loaded))),
      options.incomingBytes,
    );
  }

  findDangling(): Promise<DanglingReport | undefined> {
    return this.#cache.read((db, etag) => {
      const tables = configuredTables(readState(db));
      const foreignKeys = findDangling(db, tables);
      return { database: { etag, bytes: db.byteLength }, tables: tables.length, foreignKeys };
    });
  }
}
