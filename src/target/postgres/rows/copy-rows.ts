import { isUtf8 } from 'node:buffer';
import { SkipTableError, SyncError } from '../../../errors.ts';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { TableCursor } from '../../../sqlite/file-format/table-cursor.ts';
import type { Shard } from '../../../sqlite/shard.ts';
import type { PostgresType } from '../schema/column-types.ts';
import { convert, copyField, type ShardValue } from './convert.ts';
import { isIntegerOf, isPlainDay, isPlainInstant, isPlainNumber, isUuid } from './plain-values.ts';
import type { Repairs } from './repairs.ts';

/** Whether a value of this serial type is a text. */
const isText = (serial: number): boolean => serial > 12 && serial % 2 === 1;

/** Bytes that go to the server at once, at least. */
const chunkBytes = 131_072;
/** More than a number, a separator or NULL takes. */
const numberBytes = 32;

const tab = 0x09;
const newline = 0x0a;
const backslash = 0x5c;

export interface LoadedColumn {
  name: string;
  type: PostgresType;
}

/**
 * The rows of a table of a shard in the text format of `COPY`: the columns, the version and the number of each row.
 *
 * Most values are copied as bytes from the file, which is many times faster than to make a text of each: those whose bytes
 * show that `convert` would return them as they are. `convert` sees all others, so it alone decides what is stored.
 */
export class CopyRows {
  /** Rows so far. */
  rows = 0;
  readonly #shard: Shard;
  readonly #from: string;
  readonly #table: Table;
  readonly #columns: readonly LoadedColumn[];
  readonly #repairs: Repairs;
  readonly #cursor: TableCursor;
  /** Where each column and the version are in the records. */
  readonly #places: readonly number[];
  readonly #types: readonly PostgresType[];
  /** Whether SQLite shows whole numbers of the column as doubles. */
  readonly #areDoubles: readonly boolean[];
  readonly #key: number;
  #out = Buffer.allocUnsafeSlow(chunkBytes);
  #at = 0;

  /** @param from `rows` or `keys` */
  constructor(shard: Shard, from: string, table: Table, columns: readonly LoadedColumn[], repairs: Repairs) {
    this.#shard = shard;
    this.#from = from;
    this.#table = table;
    this.#columns = columns;
    this.#repairs = repairs;
    const found = shard.columnsOf(from);
    const places = new Map(found.map(({ name }, place) => [name, place]));
    this.#places = [...columns.map(({ name }) => name), '_version'].map((name) => {
      const place = places.get(name);
      if (place !== undefined) return place;
      throw new SyncError(`SQLite: no such column: ${name}`, { operation: `read ${from} of a shard` });
    });
    this.#areDoubles = this.#places.map((place) => /REAL|FLOA|DOUB/i.test(found[place]!.type));
    this.#types = [...columns.map(({ type }) => type), 'text'];
    this.#key = columns.findIndex(({ name }) => name === table.primaryKey);
    this.#cursor = shard.cursor(from);
  }

  /** The text, in chunks of whole rows. */
  *chunks(): Generator<Buffer> {
    const cursor = this.#cursor;
    while (cursor.next()) {
      this.#writeRow(cursor);
      this.rows += 1;
      if (this.#at >= chunkBytes) yield this.#take();
    }
    if (this.#at > 0) yield this.#take();
  }

  #take(): Buffer {
    const chunk = this.#out.subarray(0, this.#at);
    this.#out = Buffer.allocUnsafeSlow(this.#out.length);
    this.#at = 0;
    // The server would refuse other bytes. The record writer writes none.
    return isUtf8(chunk) ? chunk : Buffer.from(chunk.toString('utf8'));
  }

  #writeRow(cursor: TableCursor): void {
    const places = this.#places;
    const types = this.#types;
    for (let n = 0; n < places.length; n++) {
      const place = places[n]!;
      // A byte can become two.
      this.#reserve(2 * (cursor.ends[place]! - cursor.starts[place]!) + numberBytes);
      if (!this.#writePlain(cursor, n, place, types[n]!)) this.#writeConverted(cursor, n);
      this.#out[this.#at++] = tab;
    }
    this.#writeText(String(cursor.row));
    this.#out[this.#at++] = newline;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#out.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * (this.#out.length + bytes));
    this.#out.copy(larger, 0, 0, this.#at);
    this.#out = larger;
  }

  /** Writes a value as it is. @returns false if it has to be converted; then it has written nothing */
  #writePlain(cursor: TableCursor, n: number, place: number, type: PostgresType): boolean {
    const serial = cursor.types[place]!;
    // A row without a key is an error.
    if (serial === 0) return n !== this.#key && this.#writeNull();
    if (isText(serial)) return this.#writePlainText(cursor, place, type);
    switch (type) {
      case 'double precision':
        if (serial === 7) this.#writeText(String(cursor.double(place)));
        else if (serial < 6 || serial === 8 || serial === 9) this.#writeText(String(cursor.integer(place)));
        else return false;
        return true;
      case 'boolean':
        if ((serial !== 8 && serial !== 9) || this.#areDoubles[n]) return false;
        this.#out[this.#at++] = serial === 9 ? 0x74 : 0x66;
        return true;
      case 'smallint':
      case 'integer':
      case 'bigint':
        if (!isIntegerOf(serial, type) || this.#areDoubles[n]) return false;
        this.#writeText(String(serial === 6 ? cursor.long(place) : cursor.integer(place)));
        return true;
      default:
        return false;
    }
  }

  #writeNull(): true {
    this.#out[this.#at++] = backslash;
    this.#out[this.#at++] = 0x4e;
    return true;
  }

  #writePlainText(cursor: TableCursor, place: number, type: PostgresType): boolean {
    const { bytes } = cursor;
    const from = cursor.starts[place]!;
    const to = cursor.ends[place]!;
    switch (type) {
      case 'text':
        return this.#writeEscaped(bytes, from, to);
      case 'uuid':
        return isUuid(bytes, from, to) && this.#writeBytes(bytes, from, to);
      case 'timestamp with time zone':
        return isPlainInstant(bytes, from, to) && this.#writeBytes(bytes, from, to);
      case 'numeric':
        return isPlainNumber(bytes, from, to) && this.#writeBytes(bytes, from, to);
      case 'date':
        return isPlainDay(bytes, from, to) && this.#writeBytes(bytes, from, to);
      default:
        return false;
    }
  }

  /** @returns false if there is a character 0, which PostgreSQL does not have */
  #writeEscaped(bytes: Buffer, from: number, to: number): boolean {
    const out = this.#out;
    let at = this.#at;
    for (let i = from; i < to; i++) {
      const byte = bytes[i]!;
      if (byte > 0x0d && byte !== backslash) out[at++] = byte;
      else if (byte === 0) return false;
      else {
        const letter = byte === 0x09 ? 0x74 : byte === 0x0a ? 0x6e : byte === 0x0d ? 0x72 : byte;
        if (letter !== byte || byte === backslash) out[at++] = backslash;
        out[at++] = letter;
      }
    }
    this.#at = at;
    return true;
  }

  #writeBytes(bytes: Buffer, from: number, to: number): true {
    const out = this.#out;
    let at = this.#at;
    for (let i = from; i < to; i++) out[at++] = bytes[i]!;
    this.#at = at;
    return true;
  }

  /** @param text ASCII, for which there is room */
  #writeText(text: string): void {
    const out = this.#out;
    for (let i = 0; i < text.length; i++) out[this.#at++] = text.charCodeAt(i);
  }

  #writeConverted(cursor: TableCursor, n: number): void {
    const type = this.#types[n]!;
    const column = this.#columns[n];
    const value = this.#valueOf(cursor, n);
    const text =
      column === undefined
        ? (value as string | null)
        : convert(value, type, (repair) => this.#repairs.add(column.name, repair));
    if (n === this.#key && text === null) throw wrongKey(this.#table.logicalName, column!.name, type);
    const field = copyField(text);
    this.#reserve(3 * field.length + numberBytes);
    this.#at += this.#out.write(field, this.#at);
  }

  /** Integers and decimals as texts, because JavaScript's numbers are not exact. */
  #valueOf(cursor: TableCursor, n: number): ShardValue {
    const place = this.#places[n]!;
    const type = this.#types[n]!;
    const serial = cursor.types[place]!;
    const isAsItIs = type === 'double precision' || type === 'bytea';
    if (serial === 0) return null;
    if (isText(serial)) return cursor.bytes.toString('utf8', cursor.starts[place], cursor.ends[place]);
    if (serial >= 12 && isAsItIs) return cursor.bytes.subarray(cursor.starts[place], cursor.ends[place]);
    // SQLite decides what the text of a number is.
    const expression = isAsItIs ? quote(this.#name(n)) : `CAST(${quote(this.#name(n))} AS TEXT)`;
    const sql = `SELECT ${expression} AS v FROM ${quote(this.#from)} WHERE rowid = ?`;
    return this.#shard.db.get<{ v: ShardValue }>(sql, [cursor.row])!.v;
  }

  #name(n: number): string {
    return this.#columns[n]?.name ?? '_version';
  }
}

function wrongKey(object: string, column: string, type: PostgresType): SkipTableError {
  return new SkipTableError(
    `Table ${object} cannot be mirrored: a row has a key in ${column} that PostgreSQL cannot store as ${type}.`,
    { object, hint: `Remove ${object} from entities.json, or correct the row in Dataverse.` },
  );
}
