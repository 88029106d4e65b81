/** A value of a row. A blob is shown as its length, and saved as SQL writes it: `X'00FF'`. */
export type Cell = string | number | bigint | null;

export interface Table {
  columns: string[];
  rows: Cell[][];
  /** There are more rows. */
  isCut: boolean;
}

/** The formats of saved files. */
export type Format = 'csv' | 'json';

export interface Saved {
  file: Blob;
  rows: number;
  /** There are more rows. */
  isCut: boolean;
}

interface Statement {
  sql: string;
  parameters: Cell[];
  maxRows: number;
}

/** What the page asks, one after the other. */
export type Asked =
  | { kind: 'open' }
  /** Texts longer than `maxText` are cut, but not those of the columns `whole`. */
  | ({ kind: 'query'; maxText: number; whole: string[] } & Statement)
  | ({ kind: 'save'; format: Format; maxBytes: number } & Statement);

export interface Results {
  open: { etag: string };
  query: Table;
  save: Saved;
}

export type Answer =
  | { result: Results[keyof Results]; requests: number; fetchedBytes: number }
  | { error: string; isChanged: boolean };

/** What the thread of SQLite is told when it opens the mirror. */
export interface OpenPlace {
  /** The addresses of the database and of SQLite's WebAssembly. */
  database: string;
  wasm: string;
  key: string | null;
}
