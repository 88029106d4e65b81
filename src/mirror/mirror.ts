import type { Worker } from 'node:worker_threads';
import { RetriableError, SyncError } from '../errors.ts';
import { chunkSize } from '../sqlite/paged/paged-file.ts';
import type { StoredFile } from '../storage/database/database-file.ts';
import type { QueryParameter, QueryResult, Value } from './query-result.ts';
import {
  type FromReader,
  loading,
  type QueryAnswer,
  type ReaderData,
  type ToReader,
} from './reader-messages.ts';
import type { MirrorSource } from './sources/mirror-source.ts';
import { startReader } from './start-reader.ts';

export interface QueryOptions {
  /** Rows beyond this many are left out. @default no limit */
  maxRows?: number;
  /** The same when the values of the rows have so many bytes. @default no limit */
  maxBytes?: number;
  /** The query is stopped after so many milliseconds. @default no limit */
  timeoutMs?: number;
}

export interface MirrorOptions {
  /** Memory for parts of the file, in bytes. @default 64 MiB */
  cacheBytes?: number;
  /** Memory that SQLite may use for a query, such as for sorting, in bytes. @default 1 GiB */
  maxQueryBytes?: number;
}

const defaultCacheBytes = 64 * 1024 * 1024;
const defaultQueryBytes = 1024 * 1024 * 1024;
const minimumChunks = 16;
/** The longest time that a timer can have, in milliseconds. */
const maxTimeout = 2 ** 31 - 1;

/**
 * A mirror, for reading. SQLite works in a thread of its own and reads only the parts of the file that a query needs. All
 * queries see the state that was opened, until `refresh`.
 *
 * @example
 * const mirror = await openMirror('my.db');
 * const rows = await mirror.query<{ name: string }>('SELECT name FROM accounts WHERE statecode = ?', [0]);
 * await mirror.close();
 */
export class Mirror {
  readonly #source: MirrorSource;
  readonly #cacheBytes: number;
  readonly #maxQueryBytes: number;
  #state: StoredFile;
  #reader: Reader | undefined;
  /** One query after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /** Use `openMirror`. */
  constructor(
    source: MirrorSource,
    state: StoredFile,
    { cacheBytes = defaultCacheBytes, maxQueryBytes = defaultQueryBytes }: MirrorOptions = {},
  ) {
    this.#source = source;
    this.#state = state;
    this.#cacheBytes = cacheBytes;
    this.#maxQueryBytes = maxQueryBytes;
  }

  /** Names the state that queries see. */
  get etag(): string {
    return this.#state.etag;
  }

  /** The size of the database, in bytes. */
  get bytes(): number {
    return this.#state.length;
  }

  /**
   * The rows of one statement, as objects by column. Of two columns with the same name the last one is kept: name them
   * apart with AS, or use `execute`.
   * @param parameters for `?`, in order
   * @throws ConflictError if a sync has replaced the state: `refresh`, then ask again
   * @throws SyncError with SQLite's message
   */
  async query<Row = Record<string, Value>>(
    sql: string,
    parameters: readonly QueryParameter[] = [],
    options: QueryOptions = {},
  ): Promise<Row[]> {
    const { columns, rows } = await this.execute(sql, parameters, options);
    return rows.map((values) => Object.fromEntries(columns.map((name, n) => [name, values[n]])) as Row);
  }

  /** The same, with rows as lists. */
  execute(
    sql: string,
    parameters: readonly QueryParameter[] = [],
    options: QueryOptions = {},
  ): Promise<QueryResult> {
    const run = this.#last.then(() => this.#execute(sql, parameters, options));
    this.#last = run.catch(() => undefined);
    return run;
  }

  async #execute(
    sql: string,
    parameters: readonly QueryParameter[],
    { maxRows, maxBytes, timeoutMs }: QueryOptions,
  ): Promise<QueryResult> {
    if (this.#isClosed) throw new SyncError('The mirror is closed.', { operation: 'query' });
    // A thread can also end between two queries.
    if (this.#reader?.isBroken) this.#reader = undefined;
    this.#reader ??= new Reader(this.#state, this.#cacheBytes, this.#maxQueryBytes);
    const reader = this.#reader;
    try {
      return await reader.query(
        { kind: 'query', sql, parameters: [...parameters], maxRows, maxBytes },
        timeoutMs,
      );
    } finally {
      if (reader.isBroken) {
        await reader.close();
        this.#reader = undefined;
      }
    }
  }

  /** Opens the newest state. @returns whether it is another one */
  refresh(): Promise<boolean> {
    const run = this.#last.then(async () => {
      const state = await this.#source.open();
      if (state.etag === this.#state.etag) return false;
      await this.#reader?.close();
      this.#reader = undefined;
      this.#state = state;
      return true;
    });
    this.#last = run.catch(() => undefined);
    return run;
  }

  /** Ends the thread. A query that runs fails. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#reader?.close();
    this.#reader = undefined;
  }

  /** @internal The types of older targets lack the symbol. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** The thread that reads one state of the file. */
class Reader {
  readonly #state: StoredFile;
  readonly #memory: SharedArrayBuffer;
  readonly #control = new SharedArrayBuffer(4);
  readonly #worker: Worker;
  #call: { resolve: (result: QueryResult) => void; reject: (error: Error) => void } | undefined;
  #failure: Error | undefined;

  constructor(state: StoredFile, cacheBytes: number, maxQueryBytes: number) {
    this.#state = state;
    // Memory is used only for slots that are written to.
    const wanted = Math.min(cacheBytes, state.length + chunkSize);
    this.#memory = new SharedArrayBuffer(Math.max(minimumChunks, Math.ceil(wanted / chunkSize)) * chunkSize);
    const data: ReaderData = {
      memory: this.#memory,
      control: this.#control,
      length: state.length,
      maxQueryBytes,
    };
    this.#worker = startReader(data);
    this.#worker.on('message', (message: FromReader) => this.#receive(message));
    this.#worker.on('error', (error) => this.#fail(error as Error));
    this.#worker.on('exit', () =>
      this.#fail(new SyncError('The mirror was closed.', { operation: 'query' })),
    );
    // An open mirror keeps no process alive. A query does.
    this.#worker.unref();
  }

  /** Whether no query can follow. */
  get isBroken(): boolean {
    return this.#failure !== undefined;
  }

  async query(message: ToReader, timeoutMs: number | undefined): Promise<QueryResult> {
    this.#worker.ref();
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(
            () => {
              this.#fail(
                new RetriableError(`The query took longer than ${timeoutMs} ms and was stopped.`, {
                  operation: 'query',
                  hint: 'Read fewer rows, or filter by a column that has an index.',
                }),
              );
            },
            Math.min(timeoutMs, maxTimeout),
          );
    try {
      return await new Promise<QueryResult>((resolve, reject) => {
        this.#call = { resolve, reject };
        this.#worker.postMessage(message);
      });
    } finally {
      clearTimeout(timer);
      this.#call = undefined;
      this.#worker.unref();
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #receive(message: FromReader): void {
    if (message.kind === 'load') void this.#load(message.chunks);
    else if (message.error === undefined) this.#call?.resolve(message.result!);
    else if (message.isFatal) this.#fail(this.#failure ?? errorOf(message));
    else this.#call?.reject(errorOf(message));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#call?.reject(this.#failure);
  }

  async #load(chunks: readonly { index: number; slot: number }[]): Promise<void> {
    const control = new Int32Array(this.#control);
    let outcome: number = loading.done;
    try {
      const parts = chunks.map(({ index, slot }) => {
        const at = index * chunkSize;
        const length = Math.min(chunkSize, this.#state.length - at);
        return { at, into: new Uint8Array(this.#memory, slot * chunkSize, length) };
      });
      await this.#state.read(parts);
    } catch (error) {
      this.#failure ??= error as Error;
      outcome = loading.failed;
    }
    Atomics.store(control, 0, outcome);
    Atomics.notify(control, 0);
  }
}

function errorOf({ error }: QueryAnswer): Error {
  return new SyncError(error!, { operation: 'query' });
}
