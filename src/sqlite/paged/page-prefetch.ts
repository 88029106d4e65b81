/**
 * Which pages SQLite will read to look up many keys, so that they can be loaded together: SQLite itself asks for one after
 * the other. It only reads pages that a look-up leads to, and nothing depends on its result: whatever it misses is loaded
 * when SQLite asks for it. The format: sqlite.org, Database File Format, B-tree Pages and Record Format.
 */

import { readVarint } from '../file-format/varint.ts';

/** Pages of a file that can be brought into memory together. */
export interface Pages {
  /** Brings pages into memory, as many as there is room for. */
  bring(pages: readonly number[]): void;
  /** A page in memory. */
  get(page: number): Uint8Array;
}

const pageTypes = { interiorIndex: 2, interiorTable: 5, leafIndex: 10, leafTable: 13 };

/** Keys of an index that begin below the same page. */
interface IndexBranch {
  page: number;
  /** In the order of the index. */
  keys: readonly (readonly Uint8Array[])[];
}

/**
 * Brings the pages of an index that lead to keys.
 * @param root the first page of the index
 * @param keys the texts of the index's first columns
 * @returns the row numbers of the keys that the index has
 */
export function prefetchIndex(
  pages: Pages,
  root: number,
  keys: readonly (readonly Uint8Array[])[],
): number[] {
  const rows: number[] = [];
  let level: IndexBranch[] = [{ page: root, keys: keys.toSorted(compareKeys) }];
  for (let depth = 0; level.length > 0 && depth < maxDepth; depth += 1) {
    pages.bring(level.map(({ page }) => page));
    level = level.flatMap((branch) => followIndex(pages, branch, rows));
  }
  return rows;
}

/** Brings the pages of a table that hold rows with these numbers. */
export function prefetchTable(pages: Pages, root: number, rows: readonly number[]): void {
  let level = [{ page: root, rows: rows.toSorted((a, b) => a - b) }];
  for (let depth = 0; level.length > 0 && depth < maxDepth; depth += 1) {
    pages.bring(level.map(({ page }) => page));
    level = level.flatMap((branch) => {
      const page = new Page(pages.get(branch.page));
      if (page.type !== pageTypes.interiorTable) return [];
      const below = new Map<number, number[]>();
      for (const row of branch.rows) {
        const cell = page.firstCell((at) => page.varint(at + 4) >= row);
        add(below, cell === undefined ? page.rightChild : page.uint32(cell), row);
      }
      return [...below].map(([child, some]) => ({ page: child, rows: some }));
    });
  }
}

/** A tree with pages of 512 bytes and 2^31 rows is less deep; a damaged file may have circles. */
const maxDepth = 20;

function followIndex(pages: Pages, { page: number, keys }: IndexBranch, rows: number[]): IndexBranch[] {
  const page = new Page(pages.get(number));
  const isInterior = page.type === pageTypes.interiorIndex;
  if (!isInterior && page.type !== pageTypes.leafIndex) return [];
  const payload = isInterior ? 4 : 0;
  const below = new Map<number, (readonly Uint8Array[])[]>();
  for (const key of keys) {
    const cell = page.firstCell((at) => compareKeys(page.texts(at + payload, key.length), key) >= 0);
    const isFound = cell !== undefined && compareKeys(page.texts(cell + payload, key.length), key) === 0;
    if (isFound) rows.push(page.lastInteger(cell + payload));
    else if (isInterior) add(below, cell === undefined ? page.rightChild : page.uint32(cell), key);
  }
  return [...below].map(([child, some]) => ({ page: child, keys: some }));
}

function add<T>(lists: Map<number, T[]>, key: number, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

function compareKeys(a: readonly Uint8Array[], b: readonly Uint8Array[]): number {
  for (const [n, text] of a.entries()) {
    const order = Buffer.compare(text, b[n]!);
    if (order !== 0) return order;
  }
  return 0;
}

/** A page of a B-tree. */
class Page {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get type(): number {
    return this.#bytes[0]!;
  }

  get rightChild(): number {
    return this.uint32(8);
  }

  uint32(at: number): number {
    return this.#view.getUint32(at);
  }

  varint(at: number): number {
    return readVarint(this.#bytes, at).value;
  }

  /** Where the first cell begins for which the condition holds; it holds for all cells behind one for which it does. */
  firstCell(holds: (at: number) => boolean): number | undefined {
    const header = this.type === pageTypes.leafIndex ? 8 : 12;
    const cellAt = (n: number) => this.#view.getUint16(header + n * 2);
    const count = this.#view.getUint16(3);
    let [from, to] = [0, count];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (holds(cellAt(middle))) to = middle;
      else from = middle + 1;
    }
    return from < count ? cellAt(from) : undefined;
  }

  /** The first texts of the record in a cell's payload. */
  texts(at: number, count: number): Uint8Array[] {
    const { body, types } = this.#record(at);
    let start = body;
    return types.slice(0, count).map((type) => {
      const text = this.#bytes.subarray(start, start + sizeOf(type));
      start += sizeOf(type);
      return text;
    });
  }

  /** The last value of the record, which in an index is the number of the row. */
  lastInteger(at: number): number {
    const { body, types } = this.#record(at);
    const last = types.at(-1) ?? 0;
    const start = types.slice(0, -1).reduce((sum, type) => sum + sizeOf(type), body);
    if (last === 8 || last === 9) return last - 8;
    let value = 0;
    for (let n = 0; n < sizeOf(last); n += 1) value = value * 256 + this.#bytes[start + n]!;
    return value;
  }

  #record(at: number): { body: number; types: number[] } {
    const payload = readVarint(this.#bytes, at);
    const header = readVarint(this.#bytes, payload.end);
    const body = payload.end + header.value;
    const types: number[] = [];
    for (let next = header.end; next < body; ) {
      const { value, end } = readVarint(this.#bytes, next);
      types.push(value);
      next = end;
    }
    return { body, types };
  }
}

/** The bytes of a value with this serial type. */
function sizeOf(type: number): number {
  if (type >= 12) return (type - 12) >> 1;
  return [0, 1, 2, 3, 4, 6, 8, 8][type] ?? 0;
}
