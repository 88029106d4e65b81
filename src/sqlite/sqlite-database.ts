import type { Database, SqlValue, Statement } from 'sql.js';
import { ConfigurationError, SyncError } from '../errors.ts';
import { fileInRoom } from './growable-file.ts';
import type { Sqlite } from './sqlite.ts';

export type Parameter = string | number | bigint | boolean | null | Uint8Array;
export type Row = Record<string, SqlValue | bigint>;

export interface SqliteDatabaseOptions {
  /**
   * The greatest size of the file, in bytes; 1.7 GB unless told. It takes about 2.1 times as much memory, and
   * near 4 GiB sql.js hangs without an error.
   */
  maxBytes?: number;
  /**
   * Bytes that the file may grow to without being copied; memory is only used for what is written. Ignored
   * where `bytes` are given: they bring their own, see `open`.
   */
  reserveBytes?: number;
  /** `exclusive` unless told; `normal` for a database that others attach while it is open. */
  locking?: 'exclusive' | 'normal';
}

const defaultMaxBytes = 1_700_000_000;
const statementsKept = 64;

/**
 * A SQLite database in memory. Synchronous, one user at a time.
 * Errors are SyncErrors with the first words of the SQL; parameter values are never in them.
 */
export class SqliteDatabase {
  readonly sqlite: Sqlite;
  readonly #database: Database;
  readonly #maxBytes: number;
  readonly #pageSize: number;
  /** The bytes that SQLite works in, free ones after the file included; undefined once it may have left them. */
  #room: Uint8Array | undefined;
  readonly #statements = new Map<string, Statement>();
  #depth = 0;
  #open = true;

  private constructor(sqlite: Sqlite, bytes: Uint8Array | undefined, options: SqliteDatabaseOptions) {
    const maxBytes = options.maxBytes ?? defaultMaxBytes;
    if (bytes !== undefined && bytes.length > maxBytes) throw tooLarge(bytes.length, maxBytes);
    this.sqlite = sqlite;
    this.#maxBytes = maxBytes;
    const file = fileInRoom(sqlite, bytes, options.reserveBytes ?? 0);
    this.#room = sqlite.emptyFile === undefined ? undefined : file?.room;
    this.#database = new sqlite.sqlJs.Database(file?.bytes);
    try {
      this.exec(
        `PRAGMA page_size=8192; PRAGMA journal_mode=memory; PRAGMA synchronous=off;
         PRAGMA locking_mode=${options.locking ?? 'exclusive'}; PRAGMA temp_store=memory`,
      );
      this.#pageSize = this.#pragma('page_size');
      // Reads the file's first page: what is not a database shows here.
      this.#pragma('schema_version');
      if (this.#pragma('auto_vacuum') !== 0) this.#room = undefined;
      this.exec(`PRAGMA max_page_count=${Math.floor(maxBytes / this.#pageSize)}`);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Opens the database in `bytes`, or an empty one.
   * The bytes are given away: SQLite works in them, and in the room that `withReserve` gave them to grow.
   */
  static open(sqlite: Sqlite, bytes?: Uint8Array, options: SqliteDatabaseOptions = {}): SqliteDatabase {
    return new SqliteDatabase(sqlite, bytes, options);
  }

  /** Runs one statement and ignores the rows it gives. `changes` tells how many rows it changed. */
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

  /** All rows of a query. Integers are numbers, beyond 2^53 inexact ones, unless `bigints` asks for BigInt. */
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

  /** Runs one or several statements that take no parameters and give no rows. */
  exec(sql: string): void {
    this.#guard(sql, () => this.#database.run(sql));
  }

  /** Rows changed by the latest INSERT, UPDATE or DELETE. */
  get changes(): number {
    return this.#database.getRowsModified();
  }

  /** Does `work`, which must be synchronous, wholly or not at all. Can be nested. */
  transaction<T>(work: () => T): T {
    const name = `nested_${this.#depth}`;
    const outer = this.#depth === 0;
    this.exec(outer ? 'BEGIN' : `SAVEPOINT ${name}`);
    this.#depth += 1;
    try {
      const result = work();
      if (result instanceof Promise) throw new TypeError('a transaction cannot wait for a promise');
      this.exec(outer ? 'COMMIT' : `RELEASE ${name}`);
      return result;
    } catch (error) {
      this.#rollback(outer ? 'ROLLBACK' : `ROLLBACK TO ${name}; RELEASE ${name}`);
      throw error;
    } finally {
      this.#depth -= 1;
    }
  }

  /** Makes `other`'s tables readable here as `alias.table`, until `detach`. Its locking must be `normal`. */
  attach(other: SqliteDatabase, alias: string): void {
    const filename = (other.#database as unknown as { filename: string }).filename;
    this.run(`ATTACH ? AS ${quoted(alias)}`, [filename]);
  }

  detach(alias: string): void {
    // A prepared statement would hold the attached file open.
    this.#forgetStatements();
    this.exec(`DETACH ${quoted(alias)}`);
  }

  /**
   * The database file. As long as it fits where it was opened, this is not a copy: SQLite goes on working in
   * these bytes, so change the database only when they are no longer needed.
   * @throws SyncError inside a transaction
   */
  export(): Uint8Array {
    if (this.#depth > 0) {
      throw new SyncError('a database cannot be exported inside a transaction', { operation: 'export' });
    }
    const length = this.byteLength;
    if (this.#room !== undefined && length > 0 && length <= this.#room.length) {
      return Buffer.from(this.#room.buffer, this.#room.byteOffset, length);
    }
    this.#room = undefined;
    return this.#guard('export', () => this.#database.export());
  }

  /** The file's size in bytes. */
  get byteLength(): number {
    return this.#pragma('page_count') * this.#pageSize;
  }

  /** A statement of sql.js's own, for writers that bind many rows; freed with the database at the latest. */
  prepare(sql: string): Statement {
    return this.#guard(sql, () => this.#database.prepare(sql));
  }

  /** sql.js's own object, for binding by pointer. */
  get raw(): Database {
    return this.#database;
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
        // The types do not know the second parameter.
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

  /** The statement of this text, kept for the next time. */
  #prepare(sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      this.#statements.delete(sql);
      this.#statements.set(sql, known);
      return known;
    }
    const statement = this.#database.prepare(sql);
    if (this.#statements.size >= statementsKept) {
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

  #rollback(sql: string): void {
    try {
      this.exec(sql);
    } catch (error) {
      // Some errors have rolled the transaction back already; the first error is the one to tell.
      if (!(error instanceof Error && /no transaction is active|no such savepoint/.test(error.message))) {
        throw error;
      }
    }
  }

  #guard<T>(sql: string, work: () => T): T {
    if (!this.#open) throw new SyncError('the database is closed', { operation: firstWords(sql) });
    // A rolled back or shrunk file may have left its room, and fit into it again.
    if (this.#room !== undefined && /rollback|(?<!auto_)vacuum/i.test(sql)) this.#room = undefined;
    try {
      return work();
    } catch (error) {
      this.#room = undefined;
      const message = error instanceof Error ? error.message : String(error);
      if (message.includes('database or disk is full')) throw tooLarge(undefined, this.#maxBytes, error);
      const operation = firstWords(sql);
      throw new SyncError(`SQLite: ${message} (in: ${operation})`, { operation, cause: error });
    }
  }
}

/** Quotes a name for SQL: a table, a column, an alias. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function firstWords(sql: string): string {
  return sql.trim().split(/\s+/, 6).join(' ').slice(0, 100);
}

/** sql.js reads `null` as "no parameters", writes lone surrogates as broken UTF-8, and knows no undefined. */
function bindable(parameters: readonly Parameter[]): SqlValue[] {
  return parameters.map((value) => {
    if (typeof value === 'string') return value.toWellFormed();
    if (typeof value === 'boolean') return value ? 1 : 0;
    return value as SqlValue;
  });
}

function tooLarge(bytes: number | undefined, maxBytes: number, cause?: unknown): ConfigurationError {
  const size = bytes === undefined ? 'would grow' : `is ${bytes} bytes,`;
  return new ConfigurationError(`the database ${size} beyond the limit of ${maxBytes} bytes`, {
    operation: 'open or write the database',
    hint: 'sync fewer tables or columns, or raise the limit and give the function app more memory: it needs about 2.1 times the file',
    cause,
  });
}
