import { BtreePage, pageTypes, uint32 } from './btree-page.ts';
import type { FileHeader } from './file-header.ts';
import type { NumberReader } from './varints.ts';
import { NumberWriter } from './varints.ts';

/** Pages whose number needs more than 25 bits could be taken for B-tree pages by their first byte. */
export const maxPages = 2 ** 25 - 1;

/** What the check of a file needs to know of a page. */
export interface PageSummary {
  /** A `pageTypes`; 0 for any other page. */
  type: number;
  /** See `BtreePage`. */
  fault: number;
  isDisordered: boolean;
  cells: number;
  first: number;
  last: number;
  children: number[];
  keys: number[];
  overflows: number[];
  /** Of other pages: the first number on it, which in a chain is the next page. */
  next: number;
  /** The pages that it lists if it is a trunk of the list of free pages; undefined if it cannot be one. */
  free: number[] | undefined;
}

/**
 * Makes the summaries of pages: about 15 bytes for each. A page alone does not show what it is used for. So this describes
 * it as what it can be: a free page may still have what was on it before.
 */
export class PageSummarizer {
  readonly #page: BtreePage;
  readonly #writer = new NumberWriter();
  readonly #pageSize: number;
  readonly #usable: number;

  constructor({ pageSize, usable }: Pick<FileHeader, 'pageSize' | 'usable'>) {
    this.#page = new BtreePage(pageSize, usable);
    this.#pageSize = pageSize;
    this.#usable = usable;
  }

  /**
   * @param bytes whole pages
   * @param isStart whether they begin with the first page of the file
   * @returns the summaries, one after the other: see `readSummary`
   */
  summarize(bytes: Uint8Array, isStart: boolean): Uint8Array {
    for (let at = 0; at + this.#pageSize <= bytes.length; at += this.#pageSize) {
      const header = isStart && at === 0 ? 100 : 0;
      if (BtreePage.isBtree(bytes[at + header]!)) this.#btree(bytes, at, header);
      else this.#other(bytes, at);
    }
    return this.#writer.take();
  }

  #btree(bytes: Uint8Array, at: number, header: number): void {
    const writer = this.#writer;
    const page = this.#page;
    page.check(bytes, at, header);
    const { type, children, keys, overflows } = page;
    writer.put(type);
    writer.put(page.fault * 2 + Number(page.isDisordered));
    writer.put(page.cells);
    if (type === pageTypes.leafTable) {
      writer.put(page.first);
      writer.put(page.last - page.first);
    } else if (type !== pageTypes.leafIndex) {
      writer.put(children.length);
      for (const child of children) writer.put(child);
      for (const key of keys) writer.put(key);
    }
    writer.put(overflows.length);
    for (const number of overflows) writer.put(number);
  }

  #other(bytes: Uint8Array, at: number): void {
    const writer = this.#writer;
    writer.put(0);
    writer.put(uint32(bytes, at));
    const count = uint32(bytes, at + 4);
    // Text on an overflow page looks like a large number.
    let isTrunk = count <= this.#usable / 4 - 2;
    for (let n = 0; n < count && isTrunk; n += 1) isTrunk = uint32(bytes, at + 8 + 4 * n) <= maxPages;
    writer.put(isTrunk ? count + 1 : 0);
    for (let n = 0; n < count && isTrunk; n += 1) writer.put(uint32(bytes, at + 8 + 4 * n));
  }
}

/** Reads the summary of a page, and moves the reader behind it. */
export function readSummary(reader: NumberReader): PageSummary {
  const type = reader.next();
  const none: number[] = [];
  const unused = { fault: 0, isDisordered: false, cells: 0, first: 0, last: 0, next: 0, free: undefined };
  if (type === 0) {
    const next = reader.next();
    const length = reader.next();
    const free = length === 0 ? undefined : numbers(reader, length - 1);
    return { ...unused, type, children: none, keys: none, overflows: none, next, free };
  }
  const fault = reader.next();
  const cells = reader.next();
  const isLeaf = type === pageTypes.leafIndex || type === pageTypes.leafTable;
  const first = type === pageTypes.leafTable ? reader.next() : 0;
  const last = type === pageTypes.leafTable ? first + reader.next() : 0;
  const children = isLeaf ? none : numbers(reader, reader.next());
  const keys = type === pageTypes.interiorTable ? numbers(reader, children.length - 1) : none;
  const overflows = numbers(reader, reader.next());
  return {
    ...unused,
    ...{ type, fault: fault >> 1, isDisordered: fault % 2 === 1, cells, first, last, children, keys },
    overflows,
  };
}

/** Moves the reader behind the summary of a page. */
export function skipSummary(reader: NumberReader): void {
  const type = reader.next();
  if (type === 0) {
    reader.skip(1);
    reader.skip(Math.max(0, reader.next() - 1));
    return;
  }
  reader.skip(2);
  if (type === pageTypes.leafTable) reader.skip(2);
  else if (type !== pageTypes.leafIndex) {
    const children = reader.next();
    reader.skip(type === pageTypes.interiorTable ? Math.max(children, 2 * children - 1) : children);
  }
  reader.skip(reader.next());
}

function numbers(reader: NumberReader, count: number): number[] {
  const all: number[] = [];
  for (let n = 0; n < count; n += 1) all.push(reader.next());
  return all;
}
