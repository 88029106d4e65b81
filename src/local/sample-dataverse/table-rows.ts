import type { CachedPage } from './page.ts';
import type { Row } from './values.ts';

/** A row that was deleted, as change tracking remembers it. */
export interface Tombstone {
  id: string;
  version: bigint;
}

/** The rows of one table: by id, in primary key order, and the pages made from them. */
export class TableRows {
  readonly #rows: Map<string, Row>;
  readonly tombstones: Tombstone[] = [];
  #ordered: Row[] | undefined;
  /** Grows with each change. */
  generation = 0;
  /** Pages and filtered lists that hold until a row changes. */
  readonly pages = new Map<string, CachedPage>();
  readonly lists = new Map<string, Row[]>();

  constructor(rows: readonly Row[]) {
    this.#rows = new Map(rows.map((row) => [row.id, row]));
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

  /** The rows in the server's primary key order. */
  ordered(): Row[] {
    this.#ordered ??= [...this.#rows.values()].sort((a, b) => (a.order < b.order ? -1 : 1));
    return this.#ordered;
  }

  put(row: Row): void {
    this.#rows.set(row.id, row);
    this.changed();
  }

  delete(id: string, version: bigint): void {
    this.#rows.delete(id);
    this.tombstones.push({ id, version });
    this.changed();
  }

  /** Forgets what was derived from the rows. */
  changed(): void {
    this.generation++;
    this.#ordered = undefined;
    this.pages.clear();
    this.lists.clear();
  }
}
