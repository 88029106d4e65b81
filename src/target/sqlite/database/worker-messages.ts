import type { PackedError } from './packed-error.ts';

/** What the thread of a paged database is started with. */
export interface WorkerData {
  /** The memory of the cache, in slots of one chunk each. */
  memory: SharedArrayBuffer;
  /** One number: the state of the request for chunks that the thread waits for. */
  control: SharedArrayBuffer;
  /** The size of the stored file in bytes, 0 for a new database. */
  storedLength: number;
  /** The largest file, in bytes. */
  maxBytes: number;
  /** See `DatabaseWorkOptions`. */
  scanRows: number;
}

/** Values of `control`. */
export const loading = { waiting: 0, done: 1, failed: 2 } as const;

export type ToWorker =
  | { kind: 'call'; method: string; args: unknown[]; hasCallback: boolean }
  /** The answer to a callback. */
  | { kind: 'answer'; value?: unknown; error?: PackedError };

export type FromWorker =
  /** The thread waits until these chunks of the stored file are in these slots. */
  | { kind: 'load'; chunks: readonly { index: number; slot: number }[] }
  | { kind: 'callback'; argument: unknown }
  | { kind: 'result'; value?: unknown; error?: PackedError };

/** What changed in the file, and where its chunks are. */
export interface FileChanges {
  /** The size of the file in bytes. */
  length: number;
  /** The chunks that differ from the stored file. */
  changed: number[];
  /** Chunks in the cache, with their slots. */
  cached: [index: number, slot: number][];
  /** Chunks in the spill file, with where they begin. */
  spilled: [index: number, at: number][];
  /** The open spill file. */
  spillFile: number | undefined;
}
