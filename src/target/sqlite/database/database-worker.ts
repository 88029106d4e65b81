/**
 * The thread in which a paged database is worked on. SQLite reads synchronously: while a chunk is loaded, this thread
 * waits, and the main thread downloads it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { emptyDatabase } from '../../../sqlite/empty-database.ts';
import { CachedChunks } from '../../../sqlite/paged/cached-chunks.ts';
import type { Pages } from '../../../sqlite/paged/page-prefetch.ts';
import { chunkSize, PagedFile } from '../../../sqlite/paged/paged-file.ts';
import { SpillFile } from '../../../sqlite/paged/spill-file.ts';
import { loadSqlite } from '../../../sqlite/sqlite.ts';
import { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import { DatabaseWork } from '../database-work.ts';
import { packError, unpackError } from './packed-error.ts';
import {
  type FileChanges,
  type FromWorker,
  loading,
  type ToWorker,
  type WorkerData,
} from './worker-messages.ts';

const { memory, control, storedLength, maxBytes, scanRows } = workerData as WorkerData;
const port = parentPort!;
const state = new Int32Array(control);
const send = (message: FromWorker): void => port.postMessage(message);

const spill = new SpillFile();
const chunks = new CachedChunks({
  memory: new Uint8Array(memory),
  storedLength,
  spill,
  load(wanted) {
    Atomics.store(state, 0, loading.waiting);
    send({ kind: 'load', chunks: wanted });
    // The notification of the load before can come this late, and would end the wait.
    while (Atomics.load(state, 0) === loading.waiting) Atomics.wait(state, 0, loading.waiting);
    // The main thread knows why.
    if (Atomics.load(state, 0) === loading.failed)
      throw new Error('A part of the database could not be loaded');
  },
});

const sqlite = await loadSqlite();
const empty = emptyDatabase(sqlite.sqlJs);
if (storedLength === 0) chunks.change(0).set(empty);
const file = new PagedFile(chunks, storedLength === 0 ? empty.length : storedLength);

/** The pages of the file in chunks. The first page begins with the size of all of them. */
const pages: Pages = {
  bring: (numbers) => chunks.bring(numbers.map((page) => Math.floor(((page - 1) * pageSize()) / chunkSize))),
  get(page) {
    const at = (page - 1) * pageSize();
    const start = at % chunkSize;
    return chunks.get((at - start) / chunkSize).subarray(start, start + pageSize());
  },
};
function pageSize(): number {
  const first = chunks.get(0);
  const size = (first[16]! << 8) | first[17]!;
  return size === 1 ? 65_536 : size;
}

let openedLength = storedLength;
let db: SqliteDatabase | undefined;
let opened: DatabaseWork | undefined;
/** Opening reads the first page, which can fail: then the call that needed it fails. */
const work = (): DatabaseWork => {
  db ??= SqliteDatabase.open(sqlite, undefined, { maxBytes, file });
  opened ??= new DatabaseWork(db, { scanRows, pages });
  return opened;
};

const own = {
  changes(): FileChanges {
    // A file can have more bytes than SQLite has pages.
    if (file.length !== Math.max(openedLength, db?.byteLength ?? 0))
      throw new Error('SQLite left the file that would be stored');
    const changed = chunks.changed();
    return { length: file.length, changed, ...chunks.places(), spillFile: spill.descriptor };
  },
  stored(): void {
    chunks.stored(file.length);
    openedLength = file.length;
  },
};

let answered: ((message: Extract<ToWorker, { kind: 'answer' }>) => void) | undefined;

async function call({ method, args, hasCallback }: Extract<ToWorker, { kind: 'call' }>): Promise<unknown> {
  if (Object.hasOwn(own, method)) return own[method as keyof typeof own]();
  const callback = async (argument: unknown): Promise<unknown> => {
    const answer = new Promise<Extract<ToWorker, { kind: 'answer' }>>((resolve) => {
      answered = resolve;
    });
    send({ kind: 'callback', argument });
    const { value, error } = await answer;
    if (error !== undefined) throw unpackError(error);
    return value;
  };
  const target = work() as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  return target[method]!(...args, ...(hasCallback ? [callback] : []));
}

port.on('message', (message: ToWorker) => {
  if (message.kind === 'answer') return void answered?.(message);
  call(message).then(
    (value) => send({ kind: 'result', value }),
    (error: unknown) => send({ kind: 'result', error: packError(error) }),
  );
});
