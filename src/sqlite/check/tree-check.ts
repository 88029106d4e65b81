import { pageFaults, pageTypes, unknownRow } from './btree-page.ts';
import type { FileHeader } from './file-header.ts';
import { maxPages, type PageSummary, readSummary } from './page-summary.ts';
import { NumberReader } from './varints.ts';

/** A table or an index of the database's schema. */
export interface Tree {
  name: string;
  /** The table, also of an index. */
  table: string;
  kind: 'table' | 'index';
  root: number;
  /** Whether its keys are compared as bytes, in ascending order. */
  isBinary: boolean;
  /** Of an index: whether it leaves out rows. */
  isPartial: boolean;
}

export interface TreeCount {
  tree: Tree;
  /** Rows of a table, or entries of an index. */
  rows: number;
  pages: number;
}

export interface FileFault {
  /** The table; undefined for a fault of the file itself. */
  table: string | undefined;
  /** The page, and what is wrong with it. */
  text: string;
}

export interface FileCheck {
  trees: TreeCount[];
  /** The first ones. */
  faults: FileFault[];
  faultCount: number;
  /** Pages that are free to be used again. */
  freePages: number;
}

/** SQLite keeps locks in this byte, and never uses the page around it. */
const lockByte = 2 ** 30;

const maxFaults = 20;

/**
 * Checks how the pages of a file belong together, like `quick_check`: each is used once, by a tree, a chain of overflow
 * pages or the list of free pages; the row numbers of a table are in order; leaves have the same depth. It also counts.
 * @param trees as the schema names them, with the schema's own tree
 * @param length of the file, in bytes
 */
export function checkTrees(
  header: FileHeader,
  pages: { summaries: Uint8Array; starts: Uint32Array },
  trees: readonly Tree[],
  length: number,
): FileCheck {
  return new TreeCheck(header, pages, length).run(trees);
}

/** A page to be visited, and the row numbers that it may have: more than `above`, at most `upTo`. */
interface Visit {
  page: number;
  above: number;
  upTo: number;
  depth: number;
}

function knownRow(row: number, otherwise: number): number {
  return row === unknownRow ? otherwise : row;
}

class TreeCheck {
  readonly #header: FileHeader;
  readonly #reader: NumberReader;
  readonly #starts: Uint32Array;
  readonly #pageCount: number;
  readonly #stored: number;
  /** 1 for each page that something uses. */
  readonly #used: Uint8Array;
  readonly #faults: FileFault[] = [];
  #faultCount = 0;
  #table: string | undefined;

  constructor(
    header: FileHeader,
    { summaries, starts }: { summaries: Uint8Array; starts: Uint32Array },
    length: number,
  ) {
    this.#header = header;
    this.#reader = new NumberReader(summaries);
    this.#starts = starts;
    this.#stored = Math.floor(length / header.pageSize);
    this.#pageCount = Math.min(header.pageCount ?? this.#stored, this.#stored);
    this.#used = new Uint8Array(this.#pageCount + 1);
  }

  run(trees: readonly Tree[]): FileCheck {
    const { pageCount = 0, pageSize, hasPointerMaps, usable } = this.#header;
    if (pageCount > this.#stored)
      this.#report(`The file has ${this.#stored} pages, and its header says ${pageCount}`);
    if (this.#pageCount > maxPages)
      this.#report(`The file has more pages than this check can tell apart: ${this.#pageCount}`);
    const lockPage = Math.floor(lockByte / pageSize) + 1;
    if (lockPage <= this.#pageCount) this.#used[lockPage] = 1;
    if (hasPointerMaps) this.#usePointerMaps(Math.floor(usable / 5) + 1, lockPage);
    const freePages = this.#checkFreePages();
    const counts = trees.map((tree) => this.#checkTree(tree));
    this.#compareCounts(counts);
    this.#table = undefined;
    for (let page = 1; page <= this.#pageCount; page += 1) {
      if (this.#used[page] === 0) this.#report(`Page ${page} is not used by anything`);
    }
    return { trees: counts, faults: this.#faults, faultCount: this.#faultCount, freePages };
  }

  #report(text: string): void {
    this.#faultCount += 1;
    if (this.#faults.length < maxFaults) this.#faults.push({ table: this.#table, text });
  }

  /** The first one is page 2. If one would be the page of the lock byte, it is the page behind it. */
  #usePointerMaps(distance: number, lockPage: number): void {
    for (let page = 2; page <= this.#pageCount; page += distance) {
      const at = page === lockPage ? page + 1 : page;
      if (at <= this.#pageCount) this.#used[at] = 1;
    }
  }

  /** @returns whether the page exists and nothing else uses it */
  #use(page: number, user: string): boolean {
    if (page < 1 || page > this.#pageCount) {
      this.#report(`${user} refers to page ${page}, which the file does not have`);
      return false;
    }
    if (this.#used[page] === 1) {
      this.#report(`${user} refers to page ${page}, which is in use elsewhere`);
      return false;
    }
    this.#used[page] = 1;
    return true;
  }

  #read(page: number): PageSummary {
    this.#reader.at = this.#starts[page]!;
    return readSummary(this.#reader);
  }

  #checkFreePages(): number {
    const { first, pages } = this.#header.freelist;
    let count = 0;
    for (let trunk = first; trunk !== 0; ) {
      if (!this.#use(trunk, 'The list of free pages')) break;
      const { free, next } = this.#read(trunk);
      if (free === undefined) {
        this.#report(`Page ${trunk} of the list of free pages is not a part of such a list`);
        break;
      }
      count += 1 + free.length;
      for (const page of free) this.#use(page, `Page ${trunk} of the list of free pages`);
      trunk = next;
    }
    if (count !== pages) this.#report(`${count} pages are free, and the file's header says ${pages}`);
    return count;
  }

  #checkTree(tree: Tree): TreeCount {
    this.#table = tree.table;
    const name = tree.kind === 'table' ? `Table ${tree.name}` : `Index ${tree.name}`;
    const count: TreeCount = { tree, rows: 0, pages: 0 };
    const isUsable = this.#use(tree.root, name);
    if (!isUsable) return count;
    // The tree of a table WITHOUT ROWID is like that of an index.
    const rootType = this.#read(tree.root).type;
    const isTable =
      tree.kind === 'table' && rootType !== pageTypes.leafIndex && rootType !== pageTypes.interiorIndex;
    let leafDepth: number | undefined;
    const waiting: Visit[] = [
      { page: tree.root, above: Number.NEGATIVE_INFINITY, upTo: Number.POSITIVE_INFINITY, depth: 0 },
    ];
    for (let visit = waiting.pop(); visit !== undefined; visit = waiting.pop()) {
      const { page, depth } = visit;
      const summary = this.#read(page);
      count.pages += 1;
      const of = `Page ${page} of ${name.toLowerCase().slice(0, 6).trim()} ${tree.name}`;
      const { type, fault, isDisordered } = summary;
      const isLeaf = type === pageTypes.leafTable || type === pageTypes.leafIndex;
      const isOfTable = type === pageTypes.leafTable || type === pageTypes.interiorTable;
      if (type === 0 || isOfTable !== isTable) {
        this.#report(`${of} is not a page of ${isTable ? 'a table' : 'an index'}`);
        continue;
      }
      if (fault > 0) this.#report(`${of} ${pageFaults[fault]}`);
      if (isDisordered && tree.isBinary) this.#report(`${of} has keys that are not in order`);
      if (isLeaf || !isTable) count.rows += summary.cells;
      if (isTable) this.#checkRange(of, summary, visit);
      if (isLeaf) {
        leafDepth ??= depth;
        if (depth !== leafDepth) this.#report(`${of} has another depth than other leaves`);
      }
      count.pages += this.#checkOverflows(of, summary);
      this.#addChildren(of, summary, visit, waiting);
    }
    return count;
  }

  #compareCounts(counts: readonly TreeCount[]): void {
    const rows = new Map(
      counts.filter(({ tree }) => tree.kind === 'table').map((one) => [one.tree.name, one.rows]),
    );
    for (const { tree, rows: entries } of counts) {
      if (tree.kind === 'table' || tree.isPartial) continue;
      this.#table = tree.table;
      const expected = rows.get(tree.table);
      if (entries !== expected)
        this.#report(`Index ${tree.name} has ${entries} entries, and its table has ${expected} rows`);
    }
  }

  #addChildren(of: string, summary: PageSummary, { above, upTo, depth }: Visit, waiting: Visit[]): void {
    const { children, keys } = summary;
    for (const [n, page] of children.entries()) {
      if (!this.#use(page, of)) continue;
      const isTable = summary.type === pageTypes.interiorTable;
      const before = isTable && n > 0 ? knownRow(keys[n - 1]!, above) : above;
      const last = isTable && n < keys.length ? knownRow(keys[n]!, upTo) : upTo;
      waiting.push({ page, above: before, upTo: last, depth: depth + 1 });
    }
  }

  #checkRange(of: string, summary: PageSummary, { above, upTo }: Visit): void {
    const { type, cells, keys } = summary;
    const known = (type === pageTypes.leafTable ? [summary.first, summary.last] : keys).filter(
      (row) => row !== unknownRow,
    );
    const [first] = known;
    const last = known.at(-1);
    if (cells === 0 || first === undefined || last === undefined) return;
    if (first <= above || last > upTo) this.#report(`${of} has row numbers that belong to another page`);
  }

  /** @returns how many pages the chains have */
  #checkOverflows(of: string, { overflows }: PageSummary): number {
    let pages = 0;
    for (let n = 0; n < overflows.length; n += 2) {
      const expected = overflows[n + 1]!;
      let page = overflows[n]!;
      let length = 0;
      while (page !== 0 && length < expected) {
        if (!this.#use(page, of)) break;
        length += 1;
        const { type, next } = this.#read(page);
        if (type !== 0) break;
        page = next;
      }
      if (length !== expected || page !== 0)
        this.#report(`${of} has a long row with ${length} of ${expected} overflow pages`);
      pages += length;
    }
    return pages;
  }
}
