import { headerSize, type PageFile } from './page-file.ts';
import { putVarint, varintLength } from './varint.ts';

/** Types of pages, and the sizes of their headers. */
const leafType = 13;
const leafHeader = 8;
const interiorType = 5;
const interiorHeader = 12;
/** The most that a child takes on its interior page: the pointer to its cell, its number, and a key of nine bytes. */
const maxChild = 2 + 4 + 9;

/**
 * The B-tree of a table with the rowids 1, 2, 3, … in a `PageFile` (sqlite.org: Database File Format, "B-tree Pages").
 * Rows go to the last leaf. Interior pages are written at the end, by `finish`, after which rows can still be added.
 */
export class TableTree {
  rows = 0;
  readonly #file: PageFile;
  /** The pages of the leaves. */
  readonly #leaves: number[] = [];
  /** The last row of each leaf but the last one. */
  readonly #lastRows: number[] = [];
  /** The last leaf: its rows, and the offset in the page of the row added last. Rows grow down, pointers to them up. */
  #cells = 0;
  #content = 0;

  constructor(file: PageFile) {
    this.#file = file;
    this.#startLeaf();
  }

  /** Adds a row. @param record `bytes[from, to)`: see `RecordBuilder` */
  append(bytes: Buffer, from: number, to: number): void {
    const file = this.#file;
    const size = to - from;
    const local = localSize(size, file.pageSize);
    const row = this.rows + 1;
    const cell = varintLength(size) + varintLength(row) + local + (local < size ? 4 : 0);
    if (leafHeader + 2 * this.#cells + 2 + cell > this.#content) {
      this.#finishLeaf();
      this.#lastRows.push(this.rows);
      this.#startLeaf();
    }
    // Before `file.bytes` is taken, which can become another buffer.
    const overflow = local < size ? this.#writeOverflow(bytes, from + local, to) : 0;
    const { bytes: target, view } = file;
    const leaf = file.startOf(this.#leaves.at(-1)!);
    this.#content -= cell;
    view.setUint16(leaf + leafHeader + 2 * this.#cells, this.#content);
    let at = putVarint(target, leaf + this.#content, size);
    at = putVarint(target, at, row);
    target.set(bytes.subarray(from, from + local), at);
    if (overflow !== 0) view.setUint32(at + local, overflow);
    this.#cells += 1;
    this.rows = row;
  }

  /** The current state. The result takes back the rows added since. Nothing else may write to the file meanwhile. */
  mark(): () => void {
    const { pageCount } = this.#file;
    const { rows } = this;
    const leaves = this.#leaves.length;
    const cells = this.#cells;
    const content = this.#content;
    return () => {
      this.#file.pageCount = pageCount;
      this.rows = rows;
      this.#leaves.length = leaves;
      this.#lastRows.length = leaves - 1;
      this.#cells = cells;
      this.#content = content;
    };
  }

  /** Completes the last leaf and writes the interior pages. @returns the root page */
  finish(): number {
    this.#finishLeaf();
    const capacity = Math.floor((this.#file.pageSize - interiorHeader) / maxChild);
    let pages: readonly number[] = this.#leaves;
    let lastRows: readonly number[] = [...this.#lastRows, this.rows];
    while (pages.length > 1) {
      const parents: number[] = [];
      const parentRows: number[] = [];
      // Evenly, because an interior page needs two children.
      const count = Math.ceil(pages.length / capacity);
      for (let n = 0; n < count; n++) {
        const from = Math.floor((n * pages.length) / count);
        const to = Math.floor(((n + 1) * pages.length) / count);
        parents.push(this.#writeInterior(pages.slice(from, to), lastRows.slice(from, to)));
        parentRows.push(lastRows[to - 1]!);
      }
      pages = parents;
      lastRows = parentRows;
    }
    return pages[0]!;
  }

  /** As `finish`, with the root on page 1 behind the header of the file. That is the place of the schema. */
  finishOnPage1(): void {
    const root = this.finish();
    const { bytes, view, pageSize, pageCount } = this.#file;
    bytes.fill(0, headerSize, pageSize);
    const top = leafHeader + 2 * this.#cells;
    const from = this.#file.startOf(root);
    if (root === pageCount && this.#leaves.length === 1 && headerSize + top <= this.#content) {
      bytes.copy(bytes, headerSize, from, from + top);
      bytes.copy(bytes, this.#content, from + this.#content, from + pageSize);
      this.#file.pageCount -= 1;
      return;
    }
    // The header takes room, so page 1 may be an interior page with one child. No other page may.
    view.setUint8(headerSize, interiorType);
    view.setUint16(headerSize + 5, pageSize & 0xffff);
    view.setUint32(headerSize + 8, root);
  }

  #startLeaf(): void {
    this.#leaves.push(this.#file.allocate());
    this.#cells = 0;
    this.#content = this.#file.pageSize;
  }

  #finishLeaf(): void {
    const { bytes, view } = this.#file;
    const leaf = this.#file.startOf(this.#leaves.at(-1)!);
    bytes.fill(0, leaf, leaf + leafHeader);
    view.setUint8(leaf, leafType);
    view.setUint16(leaf + 3, this.#cells);
    // 65,536 is written as 0.
    view.setUint16(leaf + 5, this.#content & 0xffff);
    bytes.fill(0, leaf + leafHeader + 2 * this.#cells, leaf + this.#content);
  }

  /** Writes the rest of a record to pages of its own, each with the number of the next. @returns the first */
  #writeOverflow(bytes: Buffer, from: number, to: number): number {
    const file = this.#file;
    const capacity = file.pageSize - 4;
    const first = file.allocate();
    let page = first;
    for (let at = from; ; at += capacity) {
      const end = Math.min(to, at + capacity);
      const next = end < to ? file.allocate() : 0;
      const start = file.startOf(page);
      file.view.setUint32(start, next);
      file.bytes.set(bytes.subarray(at, end), start + 4);
      if (next === 0) {
        file.bytes.fill(0, start + 4 + end - at, start + file.pageSize);
        return first;
      }
      page = next;
    }
  }

  #writeInterior(children: readonly number[], lastRows: readonly number[]): number {
    const file = this.#file;
    const number = file.allocate();
    const { bytes, view } = file;
    const page = file.startOf(number);
    const cells = children.length - 1;
    let content = file.pageSize;
    for (let n = 0; n < cells; n++) {
      content -= 4 + varintLength(lastRows[n]!);
      view.setUint16(page + interiorHeader + 2 * n, content);
      view.setUint32(page + content, children[n]!);
      putVarint(bytes, page + content + 4, lastRows[n]!);
    }
    bytes.fill(0, page, page + interiorHeader);
    view.setUint8(page, interiorType);
    view.setUint16(page + 3, cells);
    view.setUint16(page + 5, content);
    view.setUint32(page + 8, children[cells]!);
    bytes.fill(0, page + interiorHeader + 2 * cells, page + content);
    return number;
  }
}

/** How many bytes of a record are on its leaf. The rest overflows (same page, "Cell Payload Overflow Pages"). */
function localSize(size: number, pageSize: number): number {
  const most = pageSize - 35;
  if (size <= most) return size;
  const least = Math.floor(((pageSize - 12) * 32) / 255) - 23;
  const local = least + ((size - least) % (pageSize - 4));
  return local <= most ? local : least;
}
