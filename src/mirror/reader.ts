/**
 * The thread that reads a mirror. SQLite reads synchronously: while a chunk is loaded, this thread waits, and the main
 * thread reads it from wherever the file is.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { CachedChunks } from '../sqlite/paged/cached-chunks.ts';
import { PagedFile } from '../sqlite/paged/paged-file.ts';
import { SpillFile } from '../sqlite/paged/spill-file.ts';
import { loadSqlite } from '../sqlite/sqlite.ts';
import { ReadOnlyDatabase } from './read-only-database.ts';
import {
  type FromReader,
  loading,
  type QueryAnswer,
  type ReaderData,
  type ToReader,
} from './reader-messages.ts';

const { memory, control, length, maxQueryBytes, wasm } = workerData as ReaderData;
const port = parentPort!;
const state = new Int32Array(control);
const send = (message: FromReader): void => port.postMessage(message);
/** After a part of the file could not be read, SQLite is in an unknown state. */
let isFatal = false;

const chunks = new CachedChunks({
  memory: new Uint8Array(memory),
  storedLength: length,
  // Nothing is changed, so nothing is written to it.
  spill: new SpillFile(),
  load(wanted) {
    Atomics.store(state, 0, loading.waiting);
    send({ kind: 'load', chunks: wanted });
    // The notification of the load before can come this late, and would end the wait.
    while (Atomics.load(state, 0) === loading.waiting) Atomics.wait(state, 0, loading.waiting);
    if (Atomics.load(state, 0) !== loading.failed) return;
    isFatal = true;
    // The main thread knows why.
    throw new Error('A part of the mirror could not be read');
  },
});
const file = new PagedFile(
  {
    get: (index) => chunks.get(index),
    change() {
      isFatal = true;
      throw new Error('A mirror is only read');
    },
  },
  length,
);

let database: ReadOnlyDatabase | undefined;

async function answer({ sql, parameters, ...limits }: ToReader): Promise<QueryAnswer> {
  try {
    const { sqlJs } = await loadSqlite(wasm);
    database ??= new ReadOnlyDatabase(sqlJs, file.asArgument(), maxQueryBytes);
    return { kind: 'answer', result: database.query(sql, parameters, limits) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { kind: 'answer', error: text, isFatal: isFatal || database === undefined };
  }
}

port.on('message', (message: ToReader) => void answer(message).then(send));
