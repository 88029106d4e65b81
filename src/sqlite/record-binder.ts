import type { Statement } from 'sql.js';
import type { ColumnTypeRules } from '../schema/column-types.ts';
import {
  BASE64,
  type Conversion,
  conversionsOf,
  DECODED_TEXT,
  DOUBLE,
  LOWERCASE,
  MINIFIED,
  NUMBER_IN_STRING,
  ONE,
  QUOTED_TEXT,
  SKIP,
  TEXT,
  WHOLE_NUMBER,
  ZERO,
} from './json-conversion.ts';
import { exactDigits, numberInText, readDouble, readInteger } from './json-number.ts';
import { lowercase } from './json-string.ts';
import { kindCount } from './json-tokens.ts';
import type { RecordScanner } from './record-scanner.ts';
import { type SqliteDatabase, sqliteError } from './sqlite-database.ts';

/**
 * Puts the values that the scanner found into a statement
 * `INSERT INTO t (…) VALUES (column 1, …, column n, _version[, raw record])`. `PointerBinder` binds the bytes of the
 * page in SQLite's own memory, `ValueBinder` binds JavaScript values. Both give the same rows.
 */
export interface RecordBinder {
  /** Takes a page, until `end`. */
  begin(page: Buffer): void;
  /** Inserts the scanner's current record. Its version is the text, or the bytes `[start, end)` of the page. */
  insert(scanner: RecordScanner, version: string | undefined, start: number, end: number): void;
  /** Releases the page. */
  end(): void;
  close(): void;
}

export interface BinderOptions {
  /** The INSERT statement. */
  insert: string;
  /** The types of the columns. Column i has slot i of the scanner. */
  types: readonly ColumnTypeRules[];
  /** Whether the last parameter is the raw record. */
  rawJson: boolean;
}

type Value = string | number | Uint8Array | null;

/** Binds JavaScript values with the documented functions of sql.js alone. */
export class ValueBinder implements RecordBinder {
  readonly #statement: Statement;
  readonly #options: BinderOptions;
  readonly #conversions: Uint8Array;
  #page: Buffer = Buffer.alloc(0);

  constructor(database: SqliteDatabase, options: BinderOptions) {
    this.#options = options;
    this.#conversions = conversionsOf(options.types);
    this.#statement = database.prepare(options.insert);
  }

  begin(page: Buffer): void {
    this.#page = page;
  }

  insert(scanner: RecordScanner, version: string | undefined, start: number, end: number): void {
    const { types, rawJson, insert } = this.#options;
    const values = types.map((_, column) => this.#value(scanner, column));
    values.push(version ?? this.#page.toString('utf8', start, end));
    if (rawJson) values.push(this.#page.toString('utf8', scanner.recordStart, scanner.recordEnd));
    try {
      this.#statement.run(values);
    } catch (error) {
      throw sqliteError(error instanceof Error ? error.message : String(error), insert);
    }
  }

  #value(scanner: RecordScanner, column: number): Value {
    const conversion = this.#conversions[column * kindCount + scanner.kinds[column]!] as Conversion;
    const page = this.#page;
    const from = scanner.starts[column]!;
    const to = scanner.ends[column]!;
    switch (conversion) {
      case SKIP:
        return null;
      case TEXT:
      case DECODED_TEXT:
      case MINIFIED:
        return scanner.text(column);
      case WHOLE_NUMBER:
        return to - from > exactDigits ? scanner.text(column) : readInteger(page, from, to);
      case DOUBLE:
        return readDouble(page, from, to);
      case ONE:
        return 1;
      case ZERO:
        return 0;
      case LOWERCASE:
        return lowercase(scanner.text(column));
      case QUOTED_TEXT:
        return page.toString('utf8', from - 1, to + 1);
      case NUMBER_IN_STRING:
        return numberInText(scanner.text(column));
      case BASE64:
        return Buffer.from(scanner.text(column), 'base64');
      default:
        return conversion satisfies never;
    }
  }

  end(): void {
    this.#page = Buffer.alloc(0);
  }

  close(): void {
    this.#statement.free();
  }
}
