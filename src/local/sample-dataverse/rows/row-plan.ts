import { Random } from './random.ts';
import type { Lookup, Value } from './values.ts';

/**
 * Values of one generated row by column name. What is absent is made from the column's type and name. A number
 * stands for a decimal, a 64-bit integer or, in milliseconds, a moment, as the column is one.
 */
export type GeneratedValues = Record<string, Value | undefined>;

/** Makes the values of one row. It is called for the rows of a table in the order of their indexes. */
export type RowGenerator = (index: number, random: Random) => GeneratedValues;

export interface RowPlanOptions {
  seed: number;
  /** Rows by logical name; a table that is absent has none. */
  counts: ReadonlyMap<string, number>;
  /** The row version of each table's first row. */
  firstVersions: ReadonlyMap<string, bigint>;
  /** Whether all tables of a large document have rows: then a delete searches only those that were read. */
  lazy: boolean;
  /** The least size of a row's JSON, in bytes. */
  rowBytes?: number;
  hostileValues: boolean;
  /** No generated row is younger. */
  now: Date;
  /** What makes the rows of a table that has a generator of its own. */
  generators: ReadonlyMap<string, (plan: RowPlan) => RowGenerator>;
}

/** How many rows each table starts with, and everything that decides what is in them. */
export class RowPlan {
  readonly options: RowPlanOptions;
  readonly #ids = new Map<string, string[]>();

  constructor(options: RowPlanOptions) {
    this.options = options;
  }

  count(table: string): number {
    return this.options.counts.get(table) ?? 0;
  }

  /** The id of a generated row. The row need not exist yet: lookups point ahead. */
  id(table: string, index: number): string {
    let ids = this.#ids.get(table);
    if (ids === undefined) {
      const random = new Random(this.options.seed, table);
      ids = Array.from({ length: this.count(table) }, () => random.guid());
      this.#ids.set(table, ids);
    }
    return ids[index]!;
  }

  /** A lookup to a row, or null where the index is absent or the table has no such row. */
  lookup(table: string, index: number | undefined): Lookup | null {
    return index === undefined || index >= this.count(table) ? null : { id: this.id(table, index), table };
  }
}
