import { isOutOfOrder, isRecord } from './records.ts';
import { signedVarint, sqliteVarint, varintEnd } from './varints.ts';

/** The first byte of a B-tree page (sqlite.org: Database File Format, "B-tree Pages"). */
export const pageTypes = { interiorIndex: 2, interiorTable: 5, leafIndex: 10, leafTable: 13 } as const;

/** What can be wrong inside a page. A summary has the position of the text in this list; the first is for no fault. */
export const pageFaults = [
  '',
  'has more cells than it has room for',
  'has a cell outside of its content',
  'has a cell that goes beyond its end',
  'has a free block that is not in order or beyond its end',
  'uses bytes twice',
  'reports another number of unused bytes than it has',
  'has a row that does not match its header',
  'has row numbers that are not in order',
] as const;

type PageFault = (typeof pageFaults)[number];

/**
 * Stands for row numbers that a summary cannot hold: negative ones, and those from here on. SQLite counts up from 1, so only
 * a table that the owner of the file has added has one. Their order is checked within a page alone.
 */
export const unknownRow = Number.MAX_SAFE_INTEGER;

/** More than the largest page has bytes. */
const scale = 2 ** 17;

/**
 * Checks what SQLite's `quick_check` checks of a single B-tree page, and the order of the keys of an index. One object
 * serves many pages: its members describe the page that was checked last.
 */
export class BtreePage {
  type = 0;
  /** The first fault: a position in `pageFaults`. */
  fault = 0;
  /** Whether keys of an index page are not in the order of binary comparison. */
  isDisordered = false;
  cells = 0;
  /** The least and the greatest row number of a leaf of a table, of those that are known. */
  first = 0;
  last = 0;
  /** Pages below this one, from left to right. */
  readonly children: number[] = [];
  /** The greatest row number below each child of a table's page but the last child; `unknownRow` for some. */
  readonly keys: number[] = [];
  /** Chains of overflow pages: the first page of each, and how many pages it has to have. */
  readonly overflows: number[] = [];
  readonly #pageSize: number;
  readonly #usable: number;
  readonly #minLocal: number;
  /** Bytes in use, as `begin × scale + end`. */
  #used = new Float64Array(256);
  #usedCount = 0;

  /** @param usable the bytes of a page that SQLite uses: all but the reserved ones at its end */
  constructor(pageSize: number, usable: number) {
    this.#pageSize = pageSize;
    this.#usable = usable;
    this.#minLocal = Math.floor(((usable - 12) * 32) / 255) - 23;
  }

  static isBtree(type: number): boolean {
    return type === 13 || type === 10 || type === 5 || type === 2;
  }

  /**
   * @param page where the page begins in `bytes`
   * @param header where its header begins in the page: 100 for the first page of a file, else 0
   */
  check(bytes: Uint8Array, page: number, header: number): void {
    const at = page + header;
    const type = bytes[at]!;
    this.type = type;
    this.fault = 0;
    this.isDisordered = false;
    this.first = 0;
    this.last = 0;
    this.children.length = 0;
    this.keys.length = 0;
    this.overflows.length = 0;
    this.#usedCount = 0;
    const isLeaf = type >= 10;
    const pointers = at + (isLeaf ? 8 : 12);
    this.cells = uint16(bytes, at + 3);
    if (pointers - page + 2 * this.cells > this.#usable || this.cells > (this.#pageSize - 8) / 6) {
      this.cells = 0;
      this.#fault('has more cells than it has room for');
      return;
    }
    const content = uint16(bytes, at + 5) || 65_536;
    if (type === pageTypes.leafTable) this.#leafTable(bytes, page, pointers, content);
    else if (type === pageTypes.interiorTable) this.#interiorTable(bytes, page, pointers, content);
    else this.#index(bytes, page, pointers, content, isLeaf);
    if (!isLeaf) this.children.push(uint32(bytes, at + 8));
    if (content < pointers - page + 2 * this.cells || content > this.#usable) this.#fault('uses bytes twice');
    if (this.fault === 0) this.#checkSpace(bytes, page, at, content);
  }

  #fault(fault: PageFault): void {
    if (this.fault === 0) this.fault = pageFaults.indexOf(fault);
  }

  /** @returns where the cell begins in `bytes`; undefined if that is not in the content of the page */
  #cellAt(bytes: Uint8Array, page: number, pointer: number, content: number): number | undefined {
    const offset = uint16(bytes, pointer);
    if (offset >= content && offset <= this.#usable - 4) return page + offset;
    this.#fault('has a cell outside of its content');
    return undefined;
  }

  #leafTable(bytes: Uint8Array, page: number, pointers: number, content: number): void {
    const maxLocal = this.#usable - 35;
    let before: number | bigint = Number.NEGATIVE_INFINITY;
    this.first = unknownRow;
    this.last = unknownRow;
    for (let n = 0; n < this.cells; n += 1) {
      const cell = this.#cellAt(bytes, page, pointers + 2 * n, content);
      if (cell === undefined) continue;
      const payload = sqliteVarint(bytes, cell);
      const rowAt = varintEnd;
      const row = sqliteVarint(bytes, rowAt);
      const start = varintEnd;
      const exact = row < unknownRow ? row : signedVarint(bytes, rowAt);
      if (exact <= before) this.#fault('has row numbers that are not in order');
      else {
        before = exact;
        if (row < unknownRow) {
          if (this.first === unknownRow) this.first = row;
          this.last = row;
        }
      }
      this.#payload(bytes, page, cell, start, payload, maxLocal);
    }
  }

  #interiorTable(bytes: Uint8Array, page: number, pointers: number, content: number): void {
    let before: number | bigint = Number.NEGATIVE_INFINITY;
    for (let n = 0; n < this.cells; n += 1) {
      const cell = this.#cellAt(bytes, page, pointers + 2 * n, content);
      if (cell === undefined) continue;
      const key = sqliteVarint(bytes, cell + 4);
      if (!this.#use(page, cell, varintEnd - cell)) continue;
      const exact = key < unknownRow ? key : signedVarint(bytes, cell + 4);
      if (exact <= before) this.#fault('has row numbers that are not in order');
      this.children.push(uint32(bytes, cell));
      this.keys.push(Math.min(key, unknownRow));
      before = exact;
    }
  }

  #index(bytes: Uint8Array, page: number, pointers: number, content: number, isLeaf: boolean): void {
    const maxLocal = Math.floor(((this.#usable - 12) * 64) / 255) - 23;
    let before = -1;
    for (let n = 0; n < this.cells; n += 1) {
      const cell = this.#cellAt(bytes, page, pointers + 2 * n, content);
      if (cell === undefined) continue;
      if (!isLeaf) this.children.push(uint32(bytes, cell));
      const payload = sqliteVarint(bytes, isLeaf ? cell : cell + 4);
      const start = varintEnd;
      const isWhole = this.#payload(bytes, page, cell, start, payload, maxLocal) && payload <= maxLocal;
      if (isWhole && before >= 0 && isOutOfOrder(bytes, before, start)) this.isDisordered = true;
      before = isWhole ? start : -1;
    }
  }

  /**
   * Notes the bytes and the overflow pages of a cell, and checks its record.
   * @param start where the payload begins
   * @param maxLocal the longest payload that is on the page as a whole
   * @returns whether the cell is on the page and its record is right
   */
  #payload(
    bytes: Uint8Array,
    page: number,
    cell: number,
    start: number,
    payload: number,
    maxLocal: number,
  ): boolean {
    let local = payload;
    if (payload > maxLocal) {
      const more = this.#minLocal + ((payload - this.#minLocal) % (this.#usable - 4));
      local = more <= maxLocal ? more : this.#minLocal;
    }
    const size = start - cell + local + (local < payload ? 4 : 0);
    if (!this.#use(page, cell, size)) return false;
    if (local < payload) {
      const pages = Math.ceil((payload - local) / (this.#usable - 4));
      this.overflows.push(uint32(bytes, start + local), pages);
    }
    if (isRecord(bytes, start, local, payload)) return true;
    this.#fault('has a row that does not match its header');
    return false;
  }

  /** @returns whether the cell ends before the page does */
  #use(page: number, cell: number, size: number): boolean {
    const begin = cell - page;
    // SQLite makes no cell shorter, so that it can become a free block.
    const end = begin + Math.max(4, size);
    if (end > this.#usable) {
      this.#fault('has a cell that goes beyond its end');
      return false;
    }
    this.#note(begin, end);
    return true;
  }

  #note(begin: number, end: number): void {
    if (this.#usedCount === this.#used.length) {
      const larger = new Float64Array(2 * this.#used.length);
      larger.set(this.#used);
      this.#used = larger;
    }
    this.#used[this.#usedCount++] = begin * scale + end;
  }

  /** Every byte behind the pointers belongs to one cell, to one free block, or is counted as unused. */
  #checkSpace(bytes: Uint8Array, page: number, at: number, content: number): void {
    let block = uint16(bytes, at + 1);
    if (block !== 0 && block < content)
      this.#fault('has a free block that is not in order or beyond its end');
    while (block !== 0 && this.fault === 0) {
      if (block > this.#usable - 4) {
        this.#fault('has a free block that is not in order or beyond its end');
        break;
      }
      const next = uint16(bytes, page + block);
      const size = uint16(bytes, page + block + 2);
      const end = block + size;
      if (size < 4 || end > this.#usable || (next !== 0 && next <= end + 3))
        this.#fault('has a free block that is not in order or beyond its end');
      else this.#note(block, end);
      block = next;
    }
    if (this.fault !== 0) return;
    const used = this.#used.subarray(0, this.#usedCount).sort();
    let [before, unused] = [content, 0];
    for (let n = 0; n < used.length; n += 1) {
      const begin = Math.floor(used[n]! / scale);
      if (begin < before) this.#fault('uses bytes twice');
      unused += begin - before;
      before = used[n]! % scale;
    }
    unused += this.#usable - before;
    if (unused !== bytes[at + 7]) this.#fault('reports another number of unused bytes than it has');
  }
}

export function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function uint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
