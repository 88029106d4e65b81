import type { CachedPage } from '../query/cached-page.ts';
import type { Row } from './values.ts';

/** A deleted row, for change tracking. */
export interface Tombstone {
  id: string;
  version: bigint;
}

/** The value of an alternate key as one text, or undefined if part of it is null. */
export type KeyOf = (row: Row) => string | undefined;

/** The rows of one table by id, by alternate key and in primary key order, with caches of pages. */
export class TableRows {
  readonly #rows: Map<string, Row>;
  readonly tombstones: Tombstone[] = [];
  #ordered: Row[] | undefined;
  /** Grows with each change of the rows. */
  generation = 0;
  /** Caches of pages and filtered lists, cleared when a row changes. */
  readonly pages = new Map<string, CachedPage>();
  readonly lists = new Map<string, Row[]>();
  readonly #indexes = new Map<string, { keyOf: KeyOf; ids: Map<string, string> }>();

  constructor(rows: readonly Row[]) {
    this.#rows = new Map(rows.map((row) => [row.id, row]));
  }

  /** The rows and tombstones as they are now. */
  copy(): TableRows {
    const copy = new TableRows([...this.#rows.values()]);
    copy.tombstones.push(...this.tombstones);
    return copy;
  }

  get size(): number {
    return this.#rows.size;
  }

  get(id: string): Row | undefined {
    return this.#rows.get(id);
  }

  all(): Iterable<Row> {
    return this.#rows.values();
  }

  /** The rows in SQL Server's order of the primary key. */
  ordered(): Row[] {
    this.#ordered ??= [...this.#rows.values()].sort((a, b) => (a.order < b.order ? -1 : 1));
    return this.#ordered;
  }

  /** The row with an alternate key. Builds an index on the first call and keeps it up to date. */
  byKey(name: string, keyOf: KeyOf, key: string): Row | undefined {
    let index = this.#indexes.get(name);
    if (index === undefined) {
      index = { keyOf, ids: new Map() };
      for (const row of this.#rows.values()) {
        const own = keyOf(row);
        if (own !== undefined) index.ids.set(own, row.id);
      }
      this.#indexes.set(name, index);
    }
    const id = index.ids.get(key);
    return id === undefined ? undefined : this.#rows.get(id);
  }

  put(row: Row): void {
    this.#unindex(row.id);
    this.#rows.set(row.id, row);
    for (const { keyOf, ids } of this.#indexes.values()) {
      const key = keyOf(row);
      if (key !== undefined) ids.set(key, row.id);
    }
    this.changed();
  }

  delete(id: string, version: bigint): void {
    this.remove(id);
    this.tombstones.push({ id, version });
  }

  /** Removes a row without a tombstone, as a rolled-back write does. */
  remove(id: string): void {
    this.#unindex(id);
    this.#rows.delete(id);
    this.changed();
  }

  #unindex(id: string): void {
    const old = this.#rows.get(id);
    if (old === undefined) return;
    for (const { keyOf, ids } of this.#indexes.values()) {
      const key = keyOf(old);
      if (key !== undefined && ids.get(key) === id) ids.delete(key);
    }
  }

  /** Drops everything derived from the rows. */
  changed(): void {
    this.generation++;
    this.#ordered = undefined;
    this.pages.clear();
    this.lists.clear();
  }

  /** Also drops the indexes, after a change of the table's columns. */
  schemaChanged(): void {
    this.#indexes.clear();
    this.changed();
  }
}
