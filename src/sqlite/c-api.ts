/**
 * SQLite's C functions inside sql.js, called with pointers into its memory. With them the values of a page reach SQLite
 * without becoming JavaScript strings first. sql.js exports these functions but does not document them, so a self-test
 * on a small database comes first. Without them, values are bound by `ValueBinder`.
 */

import type { Database, SqlJsStatic } from 'sql.js';

/** Results of the C functions: sqlite.org, Result and Error Codes. */
const SQLITE_OK = 0;
export const SQLITE_DONE = 101;

/** The memory of WebAssembly. `buffer` becomes another object if it grows. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** The address of a prepared statement. */
export type StatementPointer = number;

export interface CApi {
  readonly memory: WasmMemory;
  /** The address of `size` bytes, never 0. @throws RangeError if the memory is full */
  allocate(size: number): number;
  free(pointer: number): void;
  prepare(database: Database, sql: string): StatementPointer;
  /** The message of the latest error of the database. */
  message(database: Database): string;
  // The next functions return a result code. SQLite does not copy the bytes (`keep` is SQLITE_STATIC): they must not
  // change before the next bind.
  bindText(statement: StatementPointer, index: number, bytes: number, length: number, keep: 0): number;
  bindBlob(statement: StatementPointer, index: number, bytes: number, length: number, keep: 0): number;
  bindDouble(statement: StatementPointer, index: number, value: number): number;
  bindInt(statement: StatementPointer, index: number, value: number): number;
  clearBindings(statement: StatementPointer): number;
  step(statement: StatementPointer): number;
  reset(statement: StatementPointer): number;
  finalize(statement: StatementPointer): number;
}

type CFunction = (...args: number[]) => number;

/** The C functions, or why they cannot be used. */
export function loadCApi(
  sqlJs: SqlJsStatic,
  memory: WasmMemory | undefined,
): { cApi?: CApi; cApiError?: string } {
  try {
    if (memory === undefined) throw new Error('sql.js does not expose its memory');
    const cApi = collect(sqlJs, memory);
    selfTest(sqlJs, cApi);
    return { cApi };
  } catch (error) {
    return { cApiError: error instanceof Error ? error.message : String(error) };
  }
}

function collect(sqlJs: SqlJsStatic, memory: WasmMemory): CApi {
  const exported = sqlJs as unknown as Record<string, unknown>;
  const named = (name: string): CFunction => {
    const found = exported[name];
    if (typeof found !== 'function') throw new Error(`sql.js has no ${name}`);
    return found as CFunction;
  };
  const malloc = named('_malloc');
  const free = named('_free');
  const prepareV2 = named('_sqlite3_prepare_v2');
  const errmsg = named('_sqlite3_errmsg');
  const toText = named('UTF8ToString') as unknown as (pointer: number) => string;

  const allocate = (size: number) => {
    const pointer = malloc(Math.max(size, 1));
    // Writing to a null pointer would silently overwrite SQLite's own data.
    if (pointer === 0) throw new RangeError(`SQLite cannot allocate ${size} bytes more: its memory is full`);
    return pointer;
  };
  const message = (database: Database) => toText(errmsg(handleOf(database)));
  return {
    memory,
    allocate,
    free,
    message,
    prepare(database, sql) {
      const text = Buffer.from(`${sql}\0`);
      const pointer = allocate(text.length + 8);
      const result = pointer + ((text.length + 3) & ~3);
      try {
        new Uint8Array(memory.buffer).set(text, pointer);
        const code = prepareV2(handleOf(database), pointer, text.length, result, 0);
        if (code !== SQLITE_OK) throw new Error(message(database));
        return new DataView(memory.buffer).getUint32(result, true);
      } finally {
        free(pointer);
      }
    },
    bindText: named('_sqlite3_bind_text'),
    bindBlob: named('_sqlite3_bind_blob'),
    bindDouble: named('_sqlite3_bind_double'),
    bindInt: named('_sqlite3_bind_int'),
    clearBindings: named('_sqlite3_clear_bindings'),
    step: named('_sqlite3_step'),
    reset: named('_sqlite3_reset'),
    finalize: named('_sqlite3_finalize'),
  };
}

/** The address of the connection. */
function handleOf(database: Database): number {
  const handle = (database as unknown as { db: unknown }).db;
  if (typeof handle !== 'number' || handle === 0) throw new Error('sql.js does not expose its connection');
  return handle;
}

/** Writes a row by pointer and reads it with the documented functions of sql.js. */
function selfTest(sqlJs: SqlJsStatic, cApi: CApi): void {
  const database = new sqlJs.Database();
  try {
    database.run('CREATE TABLE t (a TEXT, b BLOB, c REAL, d INTEGER, e INTEGER, f TEXT)');
    const statement = cApi.prepare(database, 'INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)');
    const bytes = Buffer.from('grün\0x9223372036854775807');
    const at = cApi.allocate(bytes.length);
    try {
      new Uint8Array(cApi.memory.buffer).set(bytes, at);
      const codes = [
        cApi.bindText(statement, 6, at, 1, 0),
        cApi.clearBindings(statement),
        cApi.bindText(statement, 1, at, 7, 0),
        cApi.bindBlob(statement, 2, at, 2, 0),
        cApi.bindDouble(statement, 3, 0.1),
        cApi.bindInt(statement, 4, -7),
        cApi.bindText(statement, 5, at + 7, 19, 0),
        cApi.step(statement),
        cApi.reset(statement),
      ];
      if (codes.join() !== `0,0,0,0,0,0,0,${SQLITE_DONE},0`) throw new Error(`result codes ${codes}`);
    } finally {
      cApi.finalize(statement);
      cApi.free(at);
    }
    const row = database.exec('SELECT a, hex(b), c, d, CAST(e AS TEXT), f, typeof(e) FROM t')[0]?.values[0];
    const expected = ['grün\0x', '6772', 0.1, -7, '9223372036854775807', null, 'integer'];
    if (JSON.stringify(row) !== JSON.stringify(expected))
      throw new Error('a value read is not the value written');
  } finally {
    database.close();
  }
}
