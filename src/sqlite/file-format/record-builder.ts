import { decodeJsonString } from '../json-string.ts';
import { putVarint } from './varint.ts';

/** The greatest integer of six bytes. */
const max48 = 2 ** 47 - 1;
const two63 = 2 ** 63;
/** The most bytes of a serial type below 2^31. */
const maxType = 5;
/** Texts up to this length are copied in words of four bytes, which for them is faster than a call. */
const shortText = 64;
/** Words can write this many bytes too many. */
const spare = 4;

/**
 * Builds one row in SQLite's record format: a header with the serial type of each value, then the values (sqlite.org:
 * Database File Format, "Record Format"). Numbers get the smallest type that SQLite would choose.
 */
export class RecordBuilder {
  /** After `finish`, the record is `bytes[start, end)`. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #types = new Uint8Array(0);
  #typesEnd = 0;
  #body = 0;
  #source: Buffer = Buffer.alloc(0);
  #sourceView: DataView = new DataView(new ArrayBuffer(0));

  /** The bytes that texts are taken from. */
  set source(source: Buffer) {
    this.#source = source;
    this.#sourceView = new DataView(source.buffer, source.byteOffset, source.length);
  }

  /** Begins a row. @param texts the most bytes that its texts and blobs have together */
  begin(columns: number, texts: number): void {
    const header = maxType * (columns + 1);
    const size = header + texts + 8 * columns + spare;
    if (size > this.bytes.length) {
      this.bytes = Buffer.from(new ArrayBuffer(2 * size));
      this.#view = new DataView(this.bytes.buffer);
    }
    if (header > this.#types.length) this.#types = new Uint8Array(2 * header);
    this.#typesEnd = 0;
    this.#body = header;
    this.end = header;
  }

  /** Writes the header in front of the values. */
  finish(): this {
    const length = this.#typesEnd;
    // The header counts itself.
    const own = length < 0x7f ? 1 : length < 0x3ffe ? 2 : 3;
    const header = this.#body - length;
    this.start = header - own;
    putVarint(this.bytes, this.start, length + own);
    this.bytes.set(this.#types.subarray(0, length), header);
    return this;
  }

  null(): void {
    this.#types[this.#typesEnd++] = 0;
  }

  /** A text: UTF-8 in `source[from, to)`. */
  text(from: number, to: number): void {
    const length = to - from;
    this.#type(2 * length + 13);
    const end = this.end;
    if (length <= shortText && to + spare <= this.#source.length) {
      const view = this.#view;
      const source = this.#sourceView;
      for (let i = 0; i < length; i += 4) view.setInt32(end + i, source.getInt32(from + i, true), true);
    } else {
      this.bytes.set(this.#source.subarray(from, to), end);
    }
    this.end = end + length;
  }

  /** The same with its ASCII letters in lower case. */
  lowercase(from: number, to: number): void {
    const length = to - from;
    if (to + spare > this.#source.length) {
      this.text(from, to);
      this.#lowercase(this.end - length, this.end);
      return;
    }
    this.#type(2 * length + 13);
    const view = this.#view;
    const source = this.#sourceView;
    const end = this.end;
    for (let i = 0; i < length; i += 4) {
      view.setInt32(end + i, lowercaseWord(source.getInt32(from + i, true)), true);
    }
    this.end = end + length;
  }

  #lowercase(from: number, to: number): void {
    const view = this.#view;
    // Beyond the end it changes bytes that are not written yet.
    for (let i = from; i < to; i += 4) view.setInt32(i, lowercaseWord(view.getInt32(i, true)), true);
  }

  /** The text of a JSON string: the inside of its quotes is `source[from, to)`. */
  escaped(from: number, to: number, lowercase: boolean): void {
    const at = this.end;
    this.end = decodeJsonString(this.#source, from, to, this.bytes, at);
    this.#type(2 * (this.end - at) + 13);
    if (lowercase) this.#lowercase(at, this.end);
  }

  string(text: string): void {
    const length = this.bytes.write(text, this.end);
    this.#type(2 * length + 13);
    this.end += length;
  }

  blob(value: Uint8Array): void {
    this.#type(2 * value.length + 12);
    this.bytes.set(value, this.end);
    this.end += value.length;
  }

  /** An integer that a double is exact for. */
  integer(value: number): void {
    const view = this.#view;
    const end = this.end;
    const size = value < 0 ? -1 - value : value;
    if (size <= 0x7f) {
      if (value === 0 || value === 1) {
        this.#types[this.#typesEnd++] = 8 + value;
        return;
      }
      this.#types[this.#typesEnd++] = 1;
      view.setInt8(end, value);
      this.end = end + 1;
    } else if (size <= 0x7fff) {
      this.#types[this.#typesEnd++] = 2;
      view.setInt16(end, value);
      this.end = end + 2;
    } else if (size <= 0x7fffff) {
      this.#types[this.#typesEnd++] = 3;
      view.setInt8(end, value >> 16);
      view.setInt16(end + 1, value);
      this.end = end + 3;
    } else if (size <= 0x7fffffff) {
      this.#types[this.#typesEnd++] = 4;
      view.setInt32(end, value);
      this.end = end + 4;
    } else if (size <= max48) {
      this.#types[this.#typesEnd++] = 5;
      view.setInt16(end, Math.floor(value / 2 ** 32));
      view.setInt32(end + 2, value);
      this.end = end + 6;
    } else {
      this.long(BigInt(value));
    }
  }

  /** An integer of 64 bits. */
  long(value: bigint): void {
    const number = Number(value);
    if (number >= -1 - max48 && number <= max48) {
      this.integer(number);
    } else {
      this.#types[this.#typesEnd++] = 6;
      this.#view.setBigInt64(this.end, value);
      this.end += 8;
    }
  }

  /** A number in a REAL column. SQLite stores it as an integer if that is shorter. */
  real(value: number): void {
    if (Number.isInteger(value) && value >= -1 - max48 && value <= max48) {
      this.integer(value);
    } else {
      this.#types[this.#typesEnd++] = 7;
      this.#view.setFloat64(this.end, value);
      this.end += 8;
    }
  }

  /** A number in an INTEGER column, whose affinity makes it an integer if that is exact. */
  numeric(value: number): void {
    if (Number.isInteger(value) && Math.abs(value) < two63) this.long(BigInt(value));
    else this.real(value);
  }

  #type(type: number): void {
    if (type < 0x80) this.#types[this.#typesEnd++] = type;
    else this.#typesEnd = putVarint(this.#types, this.#typesEnd, type);
  }
}

/** Four bytes with their ASCII letters in lower case. */
function lowercaseWord(word: number): number {
  // In each byte, the high bit of the sum says whether its lower seven bits are at least 0x41, at least 0x5b.
  const low = word & 0x7f7f7f7f;
  const capital = (low + 0x3f3f3f3f) & ~(low + 0x25252525) & ~word & 0x80808080;
  return word | (capital >>> 2);
}
