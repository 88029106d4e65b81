import { Random } from './random.ts';
import type { Lookup, Value } from './values.ts';

/**
 * Values of one generated row by column name. The type and name of a column decide about values that are absent.
 * Decimals, 64-bit integers and moments (in milliseconds) can be numbers.
 */
export type GeneratedValues = Record<string, Value | undefined>;

/** Makes the values of one row. Called once per row, in the order of the indexes. */
export type RowGenerator = (index: number, random: Random) => GeneratedValues;

export interface RowPlanOptions {
  seed: number;
  /** Rows by logical name; a table that is absent has none. */
  counts: ReadonlyMap<string, number>;
  /** The row version of each table's first row. */
  firstVersions: ReadonlyMap<string, bigint>;
  /** Set if all tables of a large document have rows. A delete then searches only tables that were read. */
  lazy: boolean;
  /** The least size of a row's JSON, in bytes. */
  rowBytes?: number;
  hostileValues: boolean;
  /** The latest time in a generated row. */
  now: Date;
  /** Generators by logical name. Other tables use the types and names of their columns. */
  generators: ReadonlyMap<string, (plan: RowPlan) => RowGenerator>;
}

/** The number of rows that each table starts with, and all that decides about their values. */
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

  /** A lookup to a row, or null if the table has no row with the index. */
  lookup(table: string, index: number | undefined): Lookup | null {
    return index === undefined || index >= this.count(table) ? null : { id: this.id(table, index), table };
  }
}
