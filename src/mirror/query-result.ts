/** A value of SQLite. An integer that a JavaScript number cannot hold exactly is a BigInt. */
export type Value = string | number | bigint | null | Uint8Array;

/** What a parameter of a query can be. */
export type QueryParameter = Value | boolean;

/** Rows as lists of values, in the order of `columns`, which can have names twice. */
export interface QueryResult {
  columns: string[];
  rows: Value[][];
  /** False if `maxRows` left rows out. */
  isComplete: boolean;
}
