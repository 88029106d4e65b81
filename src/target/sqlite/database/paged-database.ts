import { read as readFile } from 'node:fs';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { RetriableError, SyncError } from '../../../errors.ts';
import { chunkSize } from '../../../sqlite/paged/paged-file.ts';
import type {
  DatabaseFile,
  FileContent,
  FilePart,
  StoredFile,
} from '../../../storage/database/database-file.ts';
import type { DatabaseReport } from '../../state.ts';
import type { Work } from '../database-work.ts';
import { someChunk } from './changed-content.ts';
import type { KeptDatabase } from './open-database.ts';
import { packError, unpackError } from './packed-error.ts';
import {
  type FileChanges,
  type FromWorker,
  loading,
  type ToWorker,
  type WorkerData,
} from './worker-messages.ts';

export interface PagedOptions {
  file: DatabaseFile;
  /** The largest file, in bytes. */
  maxBytes: number;
  /** The memory for parts of the file, in bytes. */
  cacheBytes: number;
  /** Tables with more rows are large. @default 10_000 */
  scanRows?: number | undefined;
}

/** So many rows are gone through in a moment, wherever their pages are. */
const defaultScanRows = 10_000;

/** A cache needs room for the pages that one step of SQLite uses. */
const minimumChunks = 4;

/** Every method of the work, so that none is forgotten. */
const methods: Record<keyof Work, true> = {
  begin: true,
  mergeTable: true,
  insertRows: true,
  contentDigest: true,
  rowIds: true,
  findClosure: true,
  referrers: true,
  dropTable: true,
  removeRows: true,
  writeLabels: true,
  findUnlabelled: true,
  countDangling: true,
  compareFiles: true,
  writeFiles: true,
  finish: true,
  check: true,
  readState: true,
  describe: true,
  readTrees: true,
  countReferences: true,
  findDangling: true,
  newsSince: true,
  readRows: true,
};

interface Call {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  callback: ((argument: unknown) => Promise<unknown>) | undefined;
}

/**
 * A database of which only parts are in memory. A thread works on it; this object downloads for the thread what it asks
 * for, and uploads what it changed. After an error the database cannot be used any more: close it.
 */
export class PagedDatabase implements KeptDatabase {
  readonly work: Work;
  readonly isSmall = false;
  readonly #file: DatabaseFile;
  readonly #memory: SharedArrayBuffer;
  readonly #control = new SharedArrayBuffer(4);
  readonly #worker: Worker;
  #stored: StoredFile | undefined;
  /** The one that the thread works on. */
  #call: Call | undefined;
  #failure: Error | undefined;
  /** The thread does one thing after the other. */
  #calls: Promise<unknown> = Promise.resolve();

  constructor(
    { file, maxBytes, cacheBytes, scanRows = defaultScanRows }: PagedOptions,
    stored: StoredFile | undefined,
  ) {
    this.#file = file;
    this.#stored = stored;
    const slots = Math.max(minimumChunks, Math.floor(cacheBytes / chunkSize));
    // Memory is used only for slots that are written to.
    this.#memory = new SharedArrayBuffer(slots * chunkSize);
    const data: WorkerData = {
      memory: this.#memory,
      control: this.#control,
      storedLength: stored?.length ?? 0,
      maxBytes,
      scanRows,
    };
    this.#worker = new Worker(workerUrl(), { workerData: data });
    this.#worker.on('message', (message: FromWorker) => this.#receive(message));
    this.#worker.on('error', (error) => this.#fail(error as Error));
    this.#worker.on('exit', () => this.#fail(new RetriableError('The thread of the database has ended')));
    // An idle instance may end. During calls it may not.
    this.#worker.unref();
    const call =
      (method: string) =>
      (...args: unknown[]) =>
        this.#send(method, args);
    this.work = Object.fromEntries(Object.keys(methods).map((name) => [name, call(name)])) as unknown as Work;
  }

  get etag(): string | undefined {
    return this.#stored?.etag;
  }

  get length(): number {
    return this.#stored?.length ?? 0;
  }

  async store(): Promise<DatabaseReport> {
    const changes = (await this.#send('changes', [])) as FileChanges;
    const commit = await this.#file.commit(this.#contentOf(changes), { etag: this.etag ?? 'absent' });
    const { etag, stagedBlocks, stagedBytes } = commit;
    const { length } = changes;
    await this.#send('stored', []);
    this.#stored = this.#file.state(etag, length);
    return { bytes: length, stagedBlocks, stagedBytes, etag };
  }

  async close(): Promise<void> {
    this.#fail(new SyncError('The database is closed'));
    await this.#worker.terminate();
  }

  #send(method: string, args: unknown[]): Promise<unknown> {
    const sent = this.#calls.then(() => this.#sendNow(method, args));
    this.#calls = sent.catch(() => undefined);
    return sent;
  }

  #sendNow(method: string, args: unknown[]): Promise<unknown> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const last = args.at(-1);
    const callback = typeof last === 'function' ? (last as Call['callback']) : undefined;
    this.#worker.ref();
    return new Promise<unknown>((resolve, reject) => {
      this.#call = { resolve, reject, callback };
      this.#post({
        kind: 'call',
        method,
        args: callback === undefined ? args : args.slice(0, -1),
        hasCallback: callback !== undefined,
      });
    }).finally(() => {
      this.#call = undefined;
      this.#worker.unref();
    });
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'load') void this.#load(message.chunks);
    else if (message.kind === 'callback') void this.#answer(message.argument);
    else if (message.error === undefined) this.#call?.resolve(message.value);
    else this.#fail(unpackError(message.error));
  }

  /** The database is in an unknown state: every call fails from now on. */
  #fail(error: Error): void {
    this.#failure ??= error;
    this.#call?.reject(this.#failure);
  }

  async #load(chunks: readonly { index: number; slot: number }[]): Promise<void> {
    const state = new Int32Array(this.#control);
    let outcome: number = loading.done;
    try {
      const parts = chunks.map(({ index, slot }): FilePart => {
        const into = new Uint8Array(this.#memory, slot * chunkSize, chunkSize);
        return { at: index * chunkSize, into: into.fill(0) };
      });
      await this.#read(parts);
    } catch (error) {
      this.#failure ??= error as Error;
      outcome = loading.failed;
    }
    Atomics.store(state, 0, outcome);
    Atomics.notify(state, 0);
  }

  /**
   * Fills the parts with what is stored. Behind its end they keep their zeros: SQLite writes no page that it needed for a
   * moment only.
   */
  async #read(parts: readonly FilePart[]): Promise<void> {
    const length = this.#stored?.length ?? 0;
    const stored = parts
      .filter(({ at }) => at < length)
      .map(({ at, into }) => ({ at, into: into.subarray(0, Math.max(0, length - at)) }));
    if (stored.length > 0) await this.#stored!.read(stored);
  }

  async #answer(argument: unknown): Promise<void> {
    try {
      this.#post({ kind: 'answer', value: tight(await this.#call!.callback!(argument)) });
    } catch (error) {
      this.#failure ??= error as Error;
      this.#post({ kind: 'answer', error: packError(error) });
    }
  }

  #contentOf({ length, changed, cached, spilled, spillFile }: FileChanges): FileContent {
    const isChanged = new Set(changed);
    const slots = new Map(cached);
    const places = new Map(spilled);
    return {
      length,
      isChanged: (from, to) => someChunk(from, to, (chunk) => isChanged.has(chunk)),
      read: async (from, to) => {
        const bytes = new Uint8Array(to - from);
        const absent: FilePart[] = [];
        for (let at = from; at < to; at += chunkSize) {
          const index = at / chunkSize;
          const into = bytes.subarray(at - from, Math.min(at + chunkSize, to) - from);
          const slot = slots.get(index);
          const place = places.get(index);
          if (slot !== undefined) into.set(new Uint8Array(this.#memory, slot * chunkSize, into.length));
          else if (place !== undefined) await fill(spillFile!, into, place);
          else {
            // Chunks side by side take one request.
            const before = absent.at(-1);
            if (before === undefined || before.at + before.into.length < at) absent.push({ at, into });
            else before.into = bytes.subarray(before.at - from, at - from + into.length);
          }
        }
        await this.#read(absent);
        return bytes;
      },
    };
  }
}

/** A shard can lie in a buffer many times its size, all of which would be copied to the thread. */
function tight(value: unknown): unknown {
  const isLoose = value instanceof Uint8Array && value.buffer.byteLength > 1.25 * value.length;
  return isLoose ? new Uint8Array(value) : value;
}

const read = promisify(readFile);

async function fill(file: number, into: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await read(file, into, done, into.length - done, position + done);
    if (bytesRead === 0) throw new Error('The temporary file is shorter than what was written to it');
    done += bytesRead;
  }
}

/** The deployment package and the build have JavaScript; tests run the sources. */
function workerUrl(): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new URL(`./database-worker.${extension}`, import.meta.url);
}
