import type { QueryParameter, QueryResult } from './query-result.ts';

/** What the thread of a mirror is started with. */
export interface ReaderData {
  /** The memory of the cache, in slots of one chunk each. */
  memory: SharedArrayBuffer;
  /** One number: the state of the request for chunks that the thread waits for. */
  control: SharedArrayBuffer;
  /** The size of the file in bytes. */
  length: number;
  /** Memory that SQLite may use, in bytes. */
  maxQueryBytes: number;
  /** SQLite in WebAssembly. Absent where the thread finds it in the package sql.js. */
  wasm?: Uint8Array<ArrayBuffer>;
}

/** Values of `control`. */
export const loading = { waiting: 0, done: 1, failed: 2 } as const;

export interface ToReader {
  kind: 'query';
  sql: string;
  parameters: readonly QueryParameter[];
  maxRows: number | undefined;
  maxBytes: number | undefined;
}

export interface QueryAnswer {
  kind: 'answer';
  result?: QueryResult;
  error?: string;
  /** The thread cannot be used any more. */
  isFatal?: boolean;
}

export type FromReader =
  /** The thread waits until these chunks of the file are in these slots. */
  { kind: 'load'; chunks: readonly { index: number; slot: number }[] } | QueryAnswer;
