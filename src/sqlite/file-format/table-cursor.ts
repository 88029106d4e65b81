import { SyncError } from '../../errors.ts';
import { pageTypes, uint16, uint32 } from '../check/btree-page.ts';
import { readFileHeader } from '../check/file-header.ts';
import { sqliteVarint, varintEnd } from '../check/varints.ts';

/** Deeper than the tree of any file that SQLite can write. */
const maxDepth = 20;
/** The bytes of a value by its serial type, below 12. */
const sizes = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0];
/** The type of NULL: also that of columns that a record ends before. */
const nullType = 0;

interface InteriorPage {
  /** Where its header begins, and where the page does. */
  header: number;
  start: number;
  cells: number;
  /** The child that comes next. After the cells there is one more. */
  next: number;
}

/**
 * Reads the rows of a table from the bytes of a database file, in the order of their numbers (sqlite.org: Database File
 * Format). It makes no object for a row: its members describe the row that was read last.
 */
export class TableCursor {
  /** The number of the row. */
  row = 0;
  /** The bytes that have the values. They change with the next row. */
  bytes: Buffer = Buffer.alloc(0);
  /** Serial types of the values: 0 is NULL, 1 to 6, 8 and 9 integers, 7 a double, then odd ones texts, even ones blobs. */
  readonly types: number[] = [];
  /** Where the values begin and end in `bytes`. */
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  readonly #file: Buffer;
  readonly #view: DataView;
  readonly #pageSize: number;
  readonly #usable: number;
  readonly #path: InteriorPage[] = [];
  readonly #columns: number;
  #pages: number;
  /** The leaf: where its page and its pointers begin, how many cells it has, and which one is next. */
  #leaf = 0;
  #pointers = 0;
  #cells = 0;
  #next = 0;
  #long = Buffer.alloc(0);

  /**
   * @param root the number of the table's first page
   * @param columns how many columns the table has
   * @throws SyncError if this is not a database
   */
  constructor(file: Uint8Array, root: number, columns: number) {
    const header = readFileHeader(file);
    if (header === undefined) throw malformed();
    this.#file = Buffer.from(file.buffer, file.byteOffset, file.length);
    this.#view = new DataView(file.buffer, file.byteOffset, file.length);
    this.#pageSize = header.pageSize;
    this.#usable = header.usable;
    this.#columns = columns;
    this.#pages = Math.floor(file.length / header.pageSize);
    this.#open(root);
  }

  /** Reads the next row. @returns false after the last one @throws SyncError if the file is damaged */
  next(): boolean {
    while (this.#next >= this.#cells) if (!this.#nextLeaf()) return false;
    const offset = uint16(this.#file, this.#pointers + 2 * this.#next);
    this.#next += 1;
    if (offset >= this.#usable) throw malformed();
    this.#readCell(this.#leaf + offset);
    return true;
  }

  /** The double of value `n`, whose type is 7. */
  double(n: number): number {
    const bytes = this.bytes;
    if (bytes === this.#file) return this.#view.getFloat64(this.starts[n]!);
    return bytes.readDoubleBE(this.starts[n]!);
  }

  /** The integer of value `n`, whose type is below 6, or 8 or 9. */
  integer(n: number): number {
    const type = this.types[n]!;
    const at = this.starts[n]!;
    const { bytes } = this;
    switch (type) {
      case 1:
        return (bytes[at]! << 24) >> 24;
      case 2:
        return ((bytes[at]! << 24) >> 16) | bytes[at + 1]!;
      case 3:
        return ((bytes[at]! << 24) >> 8) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
      case 4:
        return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
      case 5:
        return bytes.readIntBE(at, 6);
      default:
        return type - 8;
    }
  }

  /** The integer of value `n`, whose type is 6. */
  long(n: number): bigint {
    return this.bytes.readBigInt64BE(this.starts[n]!);
  }

  #nextLeaf(): boolean {
    for (;;) {
      const page = this.#path.at(-1);
      if (page === undefined) return false;
      if (page.next > page.cells) {
        this.#path.pop();
        continue;
      }
      const isLast = page.next === page.cells;
      const at = isLast ? page.header + 8 : page.start + uint16(this.#file, page.header + 12 + 2 * page.next);
      page.next += 1;
      if (at + 4 > this.#file.length) throw malformed();
      if (this.#open(uint32(this.#file, at))) return true;
    }
  }

  /** @returns whether the page is a leaf */
  #open(number: number): boolean {
    const file = this.#file;
    const start = (number - 1) * this.#pageSize;
    // No page has two places in a tree.
    this.#pages -= 1;
    if (number < 1 || start + this.#pageSize > file.length || this.#pages < 0) throw malformed();
    const header = number === 1 ? 100 : start;
    const type = file[header];
    const cells = uint16(file, header + 3);
    if (type !== pageTypes.leafTable && type !== pageTypes.interiorTable) throw malformed();
    if (header - start + 12 + 2 * cells > this.#usable && cells > 0) throw malformed();
    if (type === pageTypes.leafTable) {
      this.#leaf = start;
      this.#pointers = header + 8;
      this.#cells = cells;
      this.#next = 0;
      return true;
    }
    if (this.#path.length >= maxDepth) throw malformed();
    this.#path.push({ header, start, cells, next: 0 });
    return false;
  }

  #readCell(cell: number): void {
    const file = this.#file;
    const size = sqliteVarint(file, cell);
    this.row = sqliteVarint(file, varintEnd);
    const start = varintEnd;
    if (size > file.length) throw malformed();
    if (size <= this.#usable - 35) {
      if (start + size > this.#leaf + this.#usable) throw malformed();
      this.bytes = file;
      this.#readRecord(start, size);
    } else {
      this.#readLong(start, size);
      this.#readRecord(0, size);
    }
  }

  /** Brings together a record that continues on overflow pages. */
  #readLong(start: number, size: number): void {
    const file = this.#file;
    const usable = this.#usable;
    if (this.#long.length < size) this.#long = Buffer.allocUnsafeSlow(2 * size);
    const least = Math.floor(((usable - 12) * 32) / 255) - 23;
    const more = least + ((size - least) % (usable - 4));
    let length = more <= usable - 35 ? more : least;
    if (start + length + 4 > this.#leaf + usable) throw malformed();
    file.copy(this.#long, 0, start, start + length);
    let next = uint32(file, start + length);
    while (length < size) {
      const page = (next - 1) * this.#pageSize;
      if (next < 1 || page + this.#pageSize > file.length) throw malformed();
      const part = Math.min(usable - 4, size - length);
      file.copy(this.#long, length, page + 4, page + 4 + part);
      length += part;
      next = uint32(file, page);
    }
    this.bytes = this.#long;
  }

  /** Reads the header of the record at `bytes[start, start + size)`. */
  #readRecord(start: number, size: number): void {
    const { bytes, types, starts, ends } = this;
    const columns = this.#columns;
    const headerEnd = start + sqliteVarint(bytes, start);
    let at = varintEnd;
    let value = headerEnd;
    let n = 0;
    while (at < headerEnd) {
      let type = bytes[at]!;
      if (type < 0x80) at += 1;
      else {
        type = sqliteVarint(bytes, at);
        at = varintEnd;
      }
      const end = value + (type < 12 ? sizes[type]! : (type - 12) >>> 1);
      if (n < columns) {
        types[n] = type;
        starts[n] = value;
        ends[n] = end;
      }
      value = end;
      n += 1;
    }
    if (at !== headerEnd || value !== start + size) throw malformed();
    for (; n < columns; n++) {
      types[n] = nullType;
      starts[n] = value;
      ends[n] = value;
    }
  }
}

function malformed(): SyncError {
  return new SyncError('SQLite: database disk image is malformed', { operation: 'read rows of a shard' });
}
