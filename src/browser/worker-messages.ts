/** A value of a row. A blob is shown as its length, and saved as SQL writes it: `X'00FF'`. */
export type Cell = string | number | bigint | null;

export interface Table {
  columns: string[];
  rows: Cell[][];
  /** There are more rows. */
  isCut: boolean;
}

/** What the page asks the thread of SQLite. */
export type Asked = { id: number } & (
  | { kind: 'open'; database: string; key: string | null; wasm: string }
  | { kind: 'query'; sql: string; parameters: Cell[]; maxRows: number; maxText: number }
);

export type Answer = { id: number } & (
  | { table: Table; requests: number; fetchedBytes: number }
  | { error: string; isChanged: boolean }
);
