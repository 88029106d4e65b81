import type { Database, SqlValue, Statement } from 'sql.js';
import { ConfigurationError, SyncError } from '../errors.ts';
import { quoteIdentifier } from '../schema/sql.ts';
import { pageSize } from './empty-database.ts';
import type { PagedFile } from './paged/paged-file.ts';
import type { Sqlite } from './sqlite.ts';

export type Parameter = string | number | bigint | boolean | null | Uint8Array;
export type Row = Record<string, SqlValue | bigint>;

export interface SqliteDatabaseOptions {
  /**
   * The largest allowed file, in bytes. A file in one piece needs about 2.1 times as much memory, and near 4 GiB sql.js
   * hangs without an error.
   * @default 1_700_000_000
   */
  maxBytes?: number;
  /**
   * `normal` for a database that another one attaches while it is open.
   * @default 'exclusive'
   */
  locking?: 'exclusive' | 'normal';
  /** The file that SQLite works in, instead of bytes. It contains a database. */
  file?: PagedFile;
}

const defaultMaxBytes = 1_700_000_000;
const maxStatements = 64;

/**
 * A SQLite database in memory. Its methods are synchronous. Errors are SyncErrors with the first words of the SQL and
 * without the values of parameters.
 */
export class SqliteDatabase {
  readonly sqlite: Sqlite;
  readonly #database: Database;
  readonly #maxBytes: number;
  readonly #hasFile: boolean;
  readonly #pageSize: number;
  readonly #statements = new Map<string, Statement>();
  #depth = 0;
  #open = true;

  private constructor(sqlite: Sqlite, bytes: Uint8Array | undefined, options: SqliteDatabaseOptions) {
    const maxBytes = options.maxBytes ?? defaultMaxBytes;
    if (bytes !== undefined && bytes.length > maxBytes) throw tooLarge(bytes.length, maxBytes);
    this.sqlite = sqlite;
    this.#maxBytes = maxBytes;
    this.#hasFile = options.file !== undefined;
    this.#database = new sqlite.sqlJs.Database(options.file?.asArgument() ?? inPlace(bytes));
    try {
      this.exec(
        `PRAGMA page_size=${pageSize}; PRAGMA journal_mode=memory; PRAGMA synchronous=off;
         PRAGMA locking_mode=${options.locking ?? 'exclusive'}; PRAGMA temp_store=memory;
         PRAGMA trusted_schema=off`,
      );
      this.#pageSize = this.#pragma('page_size');
      // Reads the first page of the file and throws if it is not a database.
      this.#pragma('schema_version');
      if (options.file !== undefined && this.#pragma('auto_vacuum') !== 0) throw shrinking();
      this.exec(`PRAGMA max_page_count=${Math.floor(maxBytes / this.#pageSize)}`);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Opens the database in `bytes`, or an empty one. SQLite works in the bytes: the caller must not use them any more. */
  static open(sqlite: Sqlite, bytes?: Uint8Array, options: SqliteDatabaseOptions = {}): SqliteDatabase {
    return new SqliteDatabase(sqlite, bytes, options);
  }

  /** Runs one statement and ignores its rows. `changes` is then the number of rows that it changed. */
  run(sql: string, parameters: readonly Parameter[] = []): void {
    this.#guard(sql, () => {
      const statement = this.#prepare(sql);
      try {
        statement.bind(bindable(parameters));
        while (statement.step());
      } finally {
        statement.reset();
      }
    });
  }

  /** All rows of a query. Integers are numbers, not exact beyond 2^53, or with `bigints` BigInts. */
  all<T = Row>(sql: string, parameters: readonly Parameter[] = [], options: { bigints?: boolean } = {}): T[] {
    const rows: T[] = [];
    this.#guard(sql, () =>
      this.#read(sql, parameters, options.bigints ?? false, (row) => rows.push(row as T)),
    );
    return rows;
  }

  /** The first row of a query, or undefined. */
  get<T = Row>(
    sql: string,
    parameters: readonly Parameter[] = [],
    options: { bigints?: boolean } = {},
  ): T | undefined {
    let first: T | undefined;
    this.#guard(sql, () =>
      this.#read(sql, parameters, options.bigints ?? false, (row) => {
        first = row as T;
        return false;
      }),
    );
    return first;
  }

  /** Whether `schema`, which is `main` or the alias of an attached database, has a table with this name. */
  hasTable(name: string, schema = 'main'): boolean {
    const sql = `SELECT 1 FROM ${quoteIdentifier(schema)}.sqlite_master WHERE type = 'table' AND name = ?`;
    return this.get(sql, [name]) !== undefined;
  }

  /** Runs one or several statements without parameters and ignores their rows. */
  exec(sql: string): void {
    this.#guard(sql, () => this.#database.run(sql));
  }

  /** Rows changed by the latest INSERT, UPDATE or DELETE. */
  get changes(): number {
    return this.#database.getRowsModified();
  }

  /** Runs `work`, which must be synchronous, in a transaction and rolls back if it throws. Can be nested. */
  transaction<T>(work: () => T): T {
    const name = `nested_${this.#depth}`;
    const outer = this.#depth === 0;
    this.exec(outer ? 'BEGIN' : `SAVEPOINT ${name}`);
    this.#depth += 1;
    try {
      const result = work();
      if (result instanceof Promise) throw new TypeError('A transaction cannot wait for a promise');
      this.exec(outer ? 'COMMIT' : `RELEASE ${name}`);
      return result;
    } catch (error) {
      this.#rollback(outer ? 'ROLLBACK' : `ROLLBACK TO ${name}; RELEASE ${name}`);
      throw error;
    } finally {
      this.#depth -= 1;
    }
  }

  /** Makes the tables of `other` readable as `alias.table` until `detach`. Its locking must be `normal`. */
  attach(other: SqliteDatabase, alias: string): void {
    const filename = (other.#database as unknown as { filename: string }).filename;
    this.run(`ATTACH ? AS ${quoteIdentifier(alias)}`, [filename]);
  }

  detach(alias: string): void {
    // Prepared statements keep the attached file open.
    this.#forgetStatements();
    this.exec(`DETACH ${quoteIdentifier(alias)}`);
  }

  /**
   * A copy of the database file.
   * @throws SyncError inside a transaction
   */
  export(): Uint8Array {
    if (this.#depth > 0) {
      throw new SyncError('Cannot export a database inside a transaction', { operation: 'export' });
    }
    if (this.#hasFile) throw new Error('A database in a file of its own is not exported');
    return this.#guard('export', () => this.#database.export());
  }

  /** The size of the file in bytes. */
  get byteLength(): number {
    return this.#pragma('page_count') * this.#pageSize;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#statements.clear();
    this.#database.close();
  }

  #read(
    sql: string,
    parameters: readonly Parameter[],
    useBigInt: boolean,
    each: (row: Row) => unknown,
  ): void {
    const statement = this.#prepare(sql);
    try {
      statement.bind(bindable(parameters));
      let names: string[] | undefined;
      while (statement.step()) {
        names ??= statement.getColumnNames();
        // The types of sql.js lack the second parameter.
        const get = statement.get as (params: null, config: { useBigInt: boolean }) => (SqlValue | bigint)[];
        const values = get.call(statement, null, { useBigInt });
        const row: Row = {};
        for (let i = 0; i < names.length; i++) row[names[i]!] = values[i]!;
        if (each(row) === false) return;
      }
    } finally {
      statement.reset();
    }
  }

  /** The prepared statement for this text, from the cache if possible. */
  #prepare(sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      this.#statements.delete(sql);
      this.#statements.set(sql, known);
      return known;
    }
    const statement = this.#database.prepare(sql);
    if (this.#statements.size >= maxStatements) {
      const [oldest, old] = this.#statements.entries().next().value!;
      old.free();
      this.#statements.delete(oldest);
    }
    this.#statements.set(sql, statement);
    return statement;
  }

  #forgetStatements(): void {
    for (const statement of this.#statements.values()) statement.free();
    this.#statements.clear();
  }

  #pragma(name: string): number {
    return Number(Object.values(this.get<Row>(`PRAGMA ${name}`)!)[0]);
  }

  /** Its own error must not replace the one that led to it; some errors roll back the transaction themselves. */
  #rollback(sql: string): void {
    try {
      this.exec(sql);
    } catch {}
  }

  #guard<T>(sql: string, work: () => T): T {
    if (!this.#open) throw new SyncError('The database is closed', { operation: firstWords(sql) });
    try {
      return work();
    } catch (error) {
      // Of the file that SQLite works in.
      if (error instanceof SyncError) throw error;
      const message = error instanceof Error ? error.message : String(error);
      if (message.includes('database or disk is full')) throw tooLarge(undefined, this.#maxBytes, error);
      throw sqliteError(message, sql, error);
    }
  }
}

/** A failure of SQLite, with the first words of the SQL. */
function sqliteError(message: string, sql: string, cause?: unknown): SyncError {
  const operation = firstWords(sql);
  return new SyncError(`SQLite: ${message} (in: ${operation})`, { operation, cause });
}

function firstWords(sql: string): string {
  return sql.trim().split(/\s+/, 6).join(' ').slice(0, 100);
}

/** sql.js works in what `slice` returns. That of an array would be a copy. */
function inPlace(bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (bytes === undefined || bytes.length === 0) return undefined;
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  view.slice = () => view as Uint8Array<ArrayBuffer>;
  return view;
}

/** sql.js would write lone surrogates as invalid UTF-8 and does not accept booleans. */
function bindable(parameters: readonly Parameter[]): SqlValue[] {
  return parameters.map((value) => {
    if (typeof value === 'string') return value.toWellFormed();
    if (typeof value === 'boolean') return value ? 1 : 0;
    return value as SqlValue;
  });
}

/** Where SQLite makes a file shorter, sql.js leaves the array that it was given. */
function shrinking(): ConfigurationError {
  return new ConfigurationError('The database has auto_vacuum, with which it cannot be stored in parts', {
    operation: 'open the database',
    hint: 'Another program made this file. Run PRAGMA auto_vacuum=NONE and VACUUM on it, or delete it: the next run makes a new one.',
  });
}

function tooLarge(bytes: number | undefined, maxBytes: number, cause?: unknown): ConfigurationError {
  const size = bytes === undefined ? 'would grow' : `is ${bytes} bytes,`;
  return new ConfigurationError(`The database ${size} beyond the limit of ${maxBytes} bytes`, {
    operation: 'open or write the database',
    hint: 'Raise SYNC_DATABASE_MAX_MB, or sync fewer tables or columns.',
    cause,
  });
}
