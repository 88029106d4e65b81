import type { CApi, StatementPointer } from './c-api.ts';
import { SQLITE_DONE } from './c-api.ts';
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
import { decodeJsonString, lowercaseInPlace } from './json-string.ts';
import { ESCAPED, kindCount } from './json-tokens.ts';
import type { BinderOptions, RecordBinder } from './record-binder.ts';
import type { RecordScanner } from './record-scanner.ts';
import { type SqliteDatabase, sqliteError } from './sqlite-database.ts';

/** Binds the bytes of the page by pointer: no value becomes a JavaScript string first. */
export class PointerBinder implements RecordBinder {
  readonly #database: SqliteDatabase;
  readonly #cApi: CApi;
  readonly #statement: StatementPointer;
  readonly #options: BinderOptions;
  readonly #conversions: Uint8Array;
  #page: Buffer = Buffer.alloc(0);
  /** The address of the page's copy in SQLite's memory; 0 for none. Values are decoded in place in this copy. */
  #base = 0;
  /** The address of a second copy, for raw records; 0 for none. */
  #rawBase = 0;
  /** The address and size of the buffer for versions that are not in the page. */
  #version = 0;
  #versionSize = 0;
  #memory = new Uint8Array(0);

  constructor(database: SqliteDatabase, cApi: CApi, options: BinderOptions) {
    this.#database = database;
    this.#cApi = cApi;
    this.#options = options;
    this.#conversions = conversionsOf(options.types);
    this.#statement = cApi.prepare(database.raw, options.insert);
  }

  begin(page: Buffer): void {
    this.#page = page;
    this.#base = this.#cApi.allocate(page.length);
    if (this.#options.rawJson) this.#rawBase = this.#cApi.allocate(page.length);
    this.#heap().set(page, this.#base);
    if (this.#rawBase !== 0) this.#heap().set(page, this.#rawBase);
  }

  insert(scanner: RecordScanner, version: string | undefined, start: number, end: number): void {
    const cApi = this.#cApi;
    const statement = this.#statement;
    const { kinds, starts, ends } = scanner;
    const conversions = this.#conversions;
    const base = this.#base;
    const page = this.#page;
    const columns = this.#options.types.length;
    let failed = cApi.clearBindings(statement);
    for (let column = 0; column < columns; column++) {
      const kind = kinds[column]!;
      const conversion = conversions[column * kindCount + kind] as Conversion;
      if (conversion === SKIP) continue;
      const from = starts[column]!;
      const to = ends[column]!;
      const index = column + 1;
      switch (conversion) {
        case TEXT:
          failed |= cApi.bindText(statement, index, base + from, to - from, 0);
          break;
        case WHOLE_NUMBER: {
          if (to - from > exactDigits) {
            failed |= cApi.bindText(statement, index, base + from, to - from, 0);
            break;
          }
          const value = readInteger(page, from, to);
          failed |=
            value === (value | 0)
              ? cApi.bindInt(statement, index, value)
              : cApi.bindDouble(statement, index, value);
          break;
        }
        case DOUBLE:
          failed |= cApi.bindDouble(statement, index, readDouble(page, from, to));
          break;
        case ONE:
        case ZERO:
          failed |= cApi.bindInt(statement, index, conversion === ONE ? 1 : 0);
          break;
        case LOWERCASE:
        case DECODED_TEXT: {
          const at = base + from;
          const heap = this.#heap();
          const length = kind === ESCAPED ? decodeJsonString(page, from, to, heap, at) - at : to - from;
          if (conversion === LOWERCASE) lowercaseInPlace(heap, at, at + length);
          failed |= cApi.bindText(statement, index, at, length, 0);
          break;
        }
        case QUOTED_TEXT:
          failed |= cApi.bindText(statement, index, base + from - 1, to - from + 2, 0);
          break;
        case MINIFIED:
          failed |= this.#bindText(index, scanner.text(column), from);
          break;
        case NUMBER_IN_STRING: {
          const value = numberInText(scanner.text(column));
          failed |=
            typeof value === 'number'
              ? cApi.bindDouble(statement, index, value)
              : this.#bindText(index, value, from);
          break;
        }
        case BASE64: {
          const bytes = Buffer.from(scanner.text(column), 'base64');
          failed |= cApi.bindBlob(statement, index, this.#put(bytes, from), bytes.length, 0);
          break;
        }
        default:
          conversion satisfies never;
      }
    }
    failed |=
      version === undefined
        ? cApi.bindText(statement, columns + 1, base + start, end - start, 0)
        : this.#bindVersion(columns + 1, Buffer.from(version));
    if (this.#rawBase !== 0) {
      const { recordStart, recordEnd } = scanner;
      const at = this.#rawBase + recordStart;
      failed |= cApi.bindText(statement, columns + 2, at, recordEnd - recordStart, 0);
    }
    const code = failed === 0 ? cApi.step(statement) : SQLITE_DONE;
    const message = failed === 0 && code === SQLITE_DONE ? undefined : cApi.message(this.#database.raw);
    cApi.reset(statement);
    if (message !== undefined) throw sqliteError(message, this.#options.insert);
  }

  #bindText(index: number, text: string, from: number): number {
    const bytes = Buffer.from(text);
    return this.#cApi.bindText(this.#statement, index, this.#put(bytes, from), bytes.length, 0);
  }

  /** Writes a decoded value over its own JSON text, which is at least as long. Returns the address. */
  #put(bytes: Uint8Array, from: number): number {
    this.#heap().set(bytes, this.#base + from);
    return this.#base + from;
  }

  #bindVersion(index: number, version: Buffer): number {
    if (version.length > this.#versionSize) {
      if (this.#version !== 0) this.#cApi.free(this.#version);
      this.#version = 0;
      this.#version = this.#cApi.allocate(version.length * 2);
      this.#versionSize = version.length * 2;
    }
    this.#heap().set(version, this.#version);
    return this.#cApi.bindText(this.#statement, index, this.#version, version.length, 0);
  }

  /** SQLite's memory, which becomes another object if it grows. */
  #heap(): Uint8Array {
    const { buffer } = this.#cApi.memory;
    if (this.#memory.buffer !== buffer) this.#memory = new Uint8Array(buffer);
    return this.#memory;
  }

  end(): void {
    this.#cApi.clearBindings(this.#statement);
    if (this.#base !== 0) this.#cApi.free(this.#base);
    if (this.#rawBase !== 0) this.#cApi.free(this.#rawBase);
    this.#base = 0;
    this.#rawBase = 0;
    this.#page = Buffer.alloc(0);
  }

  close(): void {
    if (this.#version !== 0) this.#cApi.free(this.#version);
    this.#version = 0;
    this.#cApi.finalize(this.#statement);
  }
}
