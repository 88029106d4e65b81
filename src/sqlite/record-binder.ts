/**
 * Puts the values that the scanner found into an INSERT statement: from the page's bytes in SQLite's own
 * memory, or, where sql.js does not let us, as JavaScript values. Both give the same rows.
 */

import { SyncError } from '../errors.ts';
import type { Column } from '../schema/table.ts';
import { decodeJsonString } from './json-string.ts';
import type { Pointers, StatementPointer } from './pointers.ts';
import { SQLITE_DONE } from './pointers.ts';
import {
  ABSENT,
  ESCAPED,
  FALSE,
  INTEGER,
  NULL,
  NUMBER,
  type RecordScanner,
  STRING,
  TRUE,
} from './record-scanner.ts';
import type { SqliteDatabase } from './sqlite-database.ts';

/** A statement `INSERT INTO t VALUES (column 1, …, column n, _version[, raw record])` being filled. */
export interface RecordBinder {
  /** Takes a page, until `end`. */
  begin(page: Buffer): void;
  /** Inserts the scanner's current record; its version are the bytes `[start, end)` of the page, or a text. */
  insert(scanner: RecordScanner, version: string | undefined, start: number, end: number): void;
  /** Lets the page go. */
  end(): void;
  close(): void;
}

export interface BinderOptions {
  insert: string;
  /** In the order of the statement's parameters; `slots` tells each one's place in the scanner. */
  columns: readonly Column[];
  slots: readonly number[];
  rawJson: boolean;
}

/** The fastest binder that this SQLite allows. */
export function recordBinder(database: SqliteDatabase, options: BinderOptions): RecordBinder {
  const { pointers } = database.sqlite;
  return pointers === undefined
    ? new ValueBinder(database, options)
    : new PointerBinder(database, pointers, options);
}

// Readings as numbers, for the switch in the inner loop.
const TEXT = 0;
const GUID = 1;
const WHOLE = 2;
const REAL = 3;
const JSON_TEXT = 4;
const BASE64 = 5;
const codes: Record<Column['reading'], number> = {
  text: TEXT,
  guid: GUID,
  integer: WHOLE,
  boolean: WHOLE,
  real: REAL,
  json: JSON_TEXT,
  base64: BASE64,
};

/** Digits of an integer that a double holds exactly; longer ones go as text, which SQLite reads exactly. */
const exactDigits = 15;

const jsonNumber = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

class PointerBinder implements RecordBinder {
  readonly #database: SqliteDatabase;
  readonly #pointers: Pointers;
  readonly #statement: StatementPointer;
  readonly #insert: string;
  readonly #slots: Int32Array;
  readonly #codes: Uint8Array;
  readonly #rawJson: boolean;
  #page: Buffer = Buffer.alloc(0);
  /** Where the page's copy begins in SQLite's memory; 0 for none. */
  #base = 0;
  /** Where a second copy begins, for the raw record: values are decoded in place in the first. */
  #rawBase = 0;
  #version = 0;
  #versionSize = 0;
  #memory = new Uint8Array(0);

  constructor(database: SqliteDatabase, pointers: Pointers, options: BinderOptions) {
    this.#database = database;
    this.#pointers = pointers;
    this.#insert = options.insert;
    this.#slots = Int32Array.from(options.slots);
    this.#codes = Uint8Array.from(options.columns, (column) => codes[column.reading]);
    this.#rawJson = options.rawJson;
    this.#statement = pointers.prepare(database.raw, options.insert);
  }

  begin(page: Buffer): void {
    this.#page = page;
    this.#base = this.#pointers.allocate(page.length);
    if (this.#rawJson) this.#rawBase = this.#pointers.allocate(page.length);
    this.#heap().set(page, this.#base);
    if (this.#rawJson) this.#heap().set(page, this.#rawBase);
  }

  insert(scanner: RecordScanner, version: string | undefined, start: number, end: number): void {
    const pointers = this.#pointers;
    const statement = this.#statement;
    const { kinds, starts, ends } = scanner;
    const slots = this.#slots;
    const codes = this.#codes;
    const base = this.#base;
    const page = this.#page;
    const columns = slots.length;
    let failed = pointers.clearBindings(statement);
    for (let column = 0; column < columns; column++) {
      const slot = slots[column]!;
      const kind = kinds[slot]!;
      if (kind <= NULL) continue;
      const from = starts[slot]!;
      const to = ends[slot]!;
      const code = codes[column]!;
      if (kind === STRING && code === TEXT) {
        failed |= pointers.bindText(statement, column + 1, base + from, to - from, 0);
      } else if (kind === ESCAPED && code === TEXT) {
        // In place: decoded it is never longer.
        const at = base + from;
        const length = decodeJsonString(page, from, to, this.#heap(), at) - at;
        failed |= pointers.bindText(statement, column + 1, at, length, 0);
      } else if (kind === INTEGER && (code === WHOLE || code === REAL) && to - from <= exactDigits) {
        const value = smallInteger(page, from, to);
        failed |=
          value === (value | 0)
            ? pointers.bindInt(statement, column + 1, value)
            : pointers.bindDouble(statement, column + 1, value);
      } else if (code === REAL && (kind === NUMBER || kind === INTEGER)) {
        failed |= pointers.bindDouble(statement, column + 1, double(page, from, to));
      } else if (code === WHOLE && kind <= FALSE) {
        failed |= pointers.bindInt(statement, column + 1, kind === TRUE ? 1 : 0);
      } else if (code === GUID && kind === STRING && isLowerCase(page, from, to)) {
        failed |= pointers.bindText(statement, column + 1, base + from, to - from, 0);
      } else {
        failed |= this.#bindOther(scanner, column + 1, code, kind, from, to);
      }
    }
    failed |=
      version === undefined
        ? pointers.bindText(statement, columns + 1, base + start, end - start, 0)
        : this.#bindVersion(columns + 1, Buffer.from(version));
    if (this.#rawJson) {
      const { recordStart, recordEnd } = scanner;
      failed |= pointers.bindText(
        statement,
        columns + 2,
        this.#rawBase + recordStart,
        recordEnd - recordStart,
        0,
      );
    }
    const code = failed === 0 ? pointers.step(statement) : SQLITE_DONE;
    const message = failed === 0 && code === SQLITE_DONE ? undefined : pointers.message(this.#database.raw);
    pointers.reset(statement);
    if (message !== undefined) throw insertFailed(message, this.#insert);
  }

  /** The cases that are seldom or that need work on the bytes. */
  #bindOther(
    scanner: RecordScanner,
    index: number,
    code: number,
    kind: number,
    from: number,
    to: number,
  ): number {
    const value = otherValue(scanner, code, kind, from, to);
    if (typeof value === 'number') return this.#pointers.bindDouble(this.#statement, index, value);
    if (typeof value === 'string') return this.#bindInPlace(index, Buffer.from(value), from);
    const at = this.#put(value, from);
    return this.#pointers.bindBlob(this.#statement, index, at, value.length, 0);
  }

  #bindInPlace(index: number, bytes: Buffer, from: number): number {
    const at = this.#put(bytes, from);
    return this.#pointers.bindText(this.#statement, index, at, bytes.length, 0);
  }

  /** Writes a decoded value over its own token: none is longer decoded than it was encoded. */
  #put(bytes: Uint8Array, from: number): number {
    this.#heap().set(bytes, this.#base + from);
    return this.#base + from;
  }

  /** A version that stands nowhere in the page, in memory of its own. */
  #bindVersion(index: number, version: Buffer): number {
    if (version.length > this.#versionSize) {
      if (this.#version !== 0) this.#pointers.free(this.#version);
      this.#version = 0;
      this.#version = this.#pointers.allocate(version.length * 2);
      this.#versionSize = version.length * 2;
    }
    this.#heap().set(version, this.#version);
    return this.#pointers.bindText(this.#statement, index, this.#version, version.length, 0);
  }

  /** SQLite's memory, which is another object after it has grown. */
  #heap(): Uint8Array {
    const { buffer } = this.#pointers.memory;
    if (this.#memory.buffer !== buffer) this.#memory = new Uint8Array(buffer);
    return this.#memory;
  }

  end(): void {
    this.#pointers.clearBindings(this.#statement);
    if (this.#base !== 0) this.#pointers.free(this.#base);
    if (this.#rawBase !== 0) this.#pointers.free(this.#rawBase);
    this.#base = 0;
    this.#rawBase = 0;
    this.#page = Buffer.alloc(0);
  }

  close(): void {
    if (this.#version !== 0) this.#pointers.free(this.#version);
    this.#version = 0;
    this.#pointers.finalize(this.#statement);
  }
}

/** The way that needs nothing but sql.js's documented face. */
class ValueBinder implements RecordBinder {
  readonly #statement: ReturnType<SqliteDatabase['prepare']>;
  readonly #options: BinderOptions;
  #page: Buffer = Buffer.alloc(0);

  constructor(database: SqliteDatabase, options: BinderOptions) {
    this.#options = options;
    this.#statement = database.prepare(options.insert);
  }

  begin(page: Buffer): void {
    this.#page = page;
  }

  insert(scanner: RecordScanner, version: string | undefined, start: number, end: number): void {
    const { columns, slots, rawJson, insert } = this.#options;
    const values: (string | number | Uint8Array | null)[] = columns.map((column, index) => {
      const slot = slots[index]!;
      const kind = scanner.kinds[slot]!;
      if (kind === ABSENT || kind === NULL) return null;
      const from = scanner.starts[slot]!;
      const to = scanner.ends[slot]!;
      const code = codes[column.reading];
      if (kind === INTEGER && code === WHOLE) {
        return to - from <= exactDigits
          ? smallInteger(this.#page, from, to)
          : this.#page.toString('latin1', from, to);
      }
      if (code === REAL && (kind === NUMBER || kind === INTEGER)) return double(this.#page, from, to);
      if (code === WHOLE && kind <= FALSE) return kind === TRUE ? 1 : 0;
      return otherValue(scanner, code, kind, from, to);
    });
    values.push(version ?? this.#page.toString('utf8', start, end));
    if (rawJson) values.push(this.#page.toString('utf8', scanner.recordStart, scanner.recordEnd));
    try {
      this.#statement.run(values);
    } catch (error) {
      throw insertFailed(error instanceof Error ? error.message : String(error), insert);
    }
  }

  end(): void {
    this.#page = Buffer.alloc(0);
  }

  close(): void {
    this.#statement.free();
  }
}

/** The value of any token that is neither null nor one of the plain cases. */
function otherValue(
  scanner: RecordScanner,
  code: number,
  kind: number,
  from: number,
  to: number,
): string | number | Uint8Array {
  if (code === JSON_TEXT) {
    // A string keeps its quotes and escapes: it is JSON text too.
    if (kind === STRING || kind === ESCAPED) return scanner.textOf(STRING, from - 1, to + 1);
    return scanner.textOf(kind, from, to);
  }
  if (code === WHOLE && kind === NUMBER) return Number(scanner.textOf(kind, from, to));
  if (code === REAL && kind <= FALSE) return kind === TRUE ? 1 : 0;
  const text = scanner.textOf(kind, from, to);
  if (kind === STRING || kind === ESCAPED) {
    if (code === GUID) return lowerCase(text);
    if (code === BASE64) return Buffer.from(text, 'base64');
  }
  // Int64 and Decimal come as strings when the request asks for IEEE754Compatible. SQLite itself reads the
  // integer in an INTEGER column's text.
  if (code === REAL && jsonNumber.test(text)) return Number(text);
  return text;
}

/** The ASCII letters in lower case, as the binder does with bytes. */
export function lowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** An integer of at most `exactDigits` characters. */
function smallInteger(page: Buffer, from: number, to: number): number {
  let i = from;
  const negative = page[i] === 0x2d;
  if (negative) i += 1;
  let value = 0;
  for (; i < to; i++) value = value * 10 + page[i]! - 0x30;
  return negative ? -value : value;
}

const powersOfTen = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/**
 * The double nearest to the number's text. Up to 15 digits and 22 places both parts of `digits / 10^places`
 * are exact doubles, so that one division rounds rightly (Clinger, 1990).
 */
function double(page: Buffer, from: number, to: number): number {
  let i = from;
  const negative = page[i] === 0x2d;
  if (negative) i += 1;
  if (to - i <= exactDigits + 1) {
    let digits = 0;
    let places = -1;
    for (; i < to; i++) {
      const c = page[i]!;
      if (c === 0x2e) places = 0;
      else if (c > 0x39) break;
      else {
        digits = digits * 10 + c - 0x30;
        if (places >= 0) places += 1;
      }
    }
    if (i === to && (places >= 0 || to - from <= exactDigits)) {
      const value = places > 0 ? digits / powersOfTen[places]! : digits;
      return negative ? -value : value;
    }
  }
  return Number(page.toString('latin1', from, to));
}

function isLowerCase(page: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const c = page[i]!;
    if (c >= 0x41 && c <= 0x5a) return false;
  }
  return true;
}

function insertFailed(message: string, insert: string): SyncError {
  const operation = insert.split(/[ (]/, 3).join(' ');
  return new SyncError(`SQLite: ${message} (in: ${operation})`, { operation });
}
