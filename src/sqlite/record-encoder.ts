import type { ColumnTypeRules } from '../schema/column-types.ts';
import { RecordBuilder } from './file-format/record-builder.ts';
import {
  BASE64,
  type Conversion,
  conversionsOf,
  DECODED_TEXT,
  DOUBLE,
  DOUBLE_IN_STRING,
  LOWERCASE,
  MINIFIED,
  NUMERIC,
  NUMERIC_IN_STRING,
  ONE,
  QUOTED_TEXT,
  SKIP,
  TEXT,
  WHOLE_NUMBER,
  ZERO,
} from './json-conversion.ts';
import { exactDigits, numberInText, readDouble, readInteger } from './json-number.ts';
import { ESCAPED, kindCount } from './json-tokens.ts';
import type { RecordScanner } from './record-scanner.ts';

/**
 * Turns the values that the scanner found into a row: the columns, the version, and with `rawJson` the record itself.
 * Values are what SQLite would store if they were inserted into columns of these types.
 */
export class RecordEncoder {
  readonly #conversions: Uint8Array;
  readonly #columns: number;
  readonly #rawJson: boolean;
  readonly #row = new RecordBuilder();
  #page: Buffer = Buffer.alloc(0);

  /** @param types the types of the columns. Column i has slot i of the scanner. */
  constructor(types: readonly ColumnTypeRules[], options: { rawJson: boolean }) {
    this.#conversions = conversionsOf(types);
    this.#columns = types.length;
    this.#rawJson = options.rawJson;
  }

  /** Takes a page, until `end`. */
  begin(page: Buffer): void {
    this.#page = page;
    this.#row.source = page;
  }

  /** Encodes the scanner's current record. Its version is the text, or the bytes `[start, end)` of the page. */
  encode(scanner: RecordScanner, version: string | undefined, start: number, end: number): RecordBuilder {
    const row = this.#row;
    const page = this.#page;
    const columns = this.#columns;
    const conversions = this.#conversions;
    const { kinds, starts, ends, recordStart, recordEnd } = scanner;
    // A value is never longer than its JSON text, except numbers, for which the builder adds room.
    const json = (recordEnd - recordStart) * (this.#rawJson ? 2 : 1);
    row.begin(columns + 2, json + (version === undefined ? end - start : 3 * version.length));
    for (let column = 0; column < columns; column++) {
      const kind = kinds[column]!;
      const from = starts[column]!;
      const to = ends[column]!;
      const conversion = conversions[column * kindCount + kind] as Conversion;
      switch (conversion) {
        case SKIP:
          row.null();
          break;
        case TEXT:
          row.text(from, to);
          break;
        case LOWERCASE:
          if (kind === ESCAPED) row.escaped(from, to, true);
          else row.lowercase(from, to);
          break;
        case WHOLE_NUMBER:
          if (to - from > exactDigits) this.#numeric(page.toString('latin1', from, to));
          else row.integer(readInteger(page, from, to));
          break;
        case DOUBLE:
          row.real(readDouble(page, from, to));
          break;
        case NUMERIC:
          row.numeric(readDouble(page, from, to));
          break;
        case ONE:
          row.integer(1);
          break;
        case ZERO:
          row.integer(0);
          break;
        case DECODED_TEXT:
          row.escaped(from, to, false);
          break;
        case QUOTED_TEXT:
          row.text(from - 1, to + 1);
          break;
        case MINIFIED:
          row.string(scanner.text(column));
          break;
        case NUMERIC_IN_STRING:
          this.#numeric(scanner.text(column));
          break;
        case DOUBLE_IN_STRING:
          this.#real(scanner.text(column));
          break;
        case BASE64:
          row.blob(Buffer.from(scanner.text(column), 'base64'));
          break;
        default:
          conversion satisfies never;
      }
    }
    if (version === undefined) row.text(start, end);
    else row.string(version);
    if (this.#rawJson) row.text(recordStart, recordEnd);
    return row.finish();
  }

  #numeric(text: string): void {
    const number = numberInText(text);
    if (number === undefined) this.#row.string(text);
    else if (typeof number === 'bigint') this.#row.long(number);
    else this.#row.numeric(number);
  }

  #real(text: string): void {
    const number = numberInText(text);
    if (number === undefined) this.#row.string(text);
    else this.#row.real(Number(number));
  }

  /** Releases the page. */
  end(): void {
    this.#page = Buffer.alloc(0);
    this.#row.source = this.#page;
  }
}
