import initSqlite, { type Sqlite3Static } from '@sqlite.org/sqlite-wasm';
import { installVfs } from './mirror-vfs.ts';
import { ChangedError, RemoteFile } from './remote-file.ts';
import type { Answer, Asked, Cell, Table } from './worker-messages.ts';

/*
 * The thread in which SQLite runs. It can only read. A query that takes too long ends with the thread.
 */

let sqlite: Promise<Sqlite3Static> | undefined;
let states = 0;
let open:
  | { file: RemoteFile; db: InstanceType<Sqlite3Static['oo1']['DB']>; capi: Sqlite3Static['capi'] }
  | undefined;
/** What the last read of the file threw. */
let fault: unknown;

async function start({ database, key, wasm }: Extract<Asked, { kind: 'open' }>): Promise<Table> {
  sqlite ??= load(wasm);
  const sqlite3 = await sqlite.catch((error: unknown) => {
    sqlite = undefined;
    throw error;
  });
  open?.db.close();
  open = undefined;
  const file = new RemoteFile(database, key);
  const name = `mirror-${++states}`;
  installVfs(sqlite3, name, file, (error) => {
    fault = error;
  });
  const db = new sqlite3.oo1.DB(`file:mirror.db?vfs=${name}&immutable=1`, 'r');
  db.exec(
    'PRAGMA temp_store = memory; PRAGMA trusted_schema = off; PRAGMA query_only = on; PRAGMA cache_size = -16000',
  );
  open = { file, db, capi: sqlite3.capi };
  return { columns: ['etag', 'bytes'], rows: [[file.etag, file.bytes]], isCut: false };
}

// The page shows errors. The console of the browser need not have them as well.
const quiet = () => {};
Object.assign(globalThis, { sqlite3ApiConfig: { debug: quiet, log: quiet, warn: quiet, error: quiet } });

async function load(address: string): Promise<Sqlite3Static> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`SQLite could not be loaded: status ${response.status}.`);
  const wasmBinary = await response.arrayBuffer();
  const options = { wasmBinary, print: quiet, printErr: quiet };
  return (initSqlite as unknown as (options: object) => Promise<Sqlite3Static>)(options);
}

/** The rows of a statement. Text and blobs are cut where they are long, unless `maxText` is infinite. */
function query({ sql, parameters, maxRows, maxText }: Extract<Asked, { kind: 'query' }>): Table {
  if (open === undefined) throw new Error('The mirror is not open.');
  const { db, capi } = open;
  const statement = db.prepare(sql);
  try {
    // SQLite keeps what it has read of the text: one statement (sqlite.org: sqlite3_sql).
    const read = capi.sqlite3_sql(statement.pointer as number) ?? '';
    if (!nothing.test(sql.slice(read.length)))
      throw new Error('Only one statement runs at a time. Remove what is behind the first semicolon.');
    if (parameters.length > 0) statement.bind(parameters as never);
    const columns = statement.columnCount === 0 ? [] : (statement.getColumnNames([]) as string[]);
    const rows: Cell[][] = [];
    let isCut = false;
    while (statement.step()) {
      if (rows.length === maxRows) {
        isCut = true;
        break;
      }
      rows.push(columns.map((_, n) => shortened(statement.get(n) as Cell | Uint8Array, maxText)));
    }
    return { columns, rows, isCut };
  } finally {
    statement.finalize();
  }
}

/** Spaces, semicolons and comments. */
const nothing = /^(?:\s|;|--[^\n]*(?:\n|$)|\/\*[\s\S]*?(?:\*\/|$))*$/;

function shortened(value: Cell | Uint8Array, maxText: number): Cell {
  if (value instanceof Uint8Array) {
    if (maxText !== Infinity) return `${value.length} bytes`;
    return `X'${Array.from(value, (byte) => byte.toString(16).padStart(2, '0'))
      .join('')
      .toUpperCase()}'`;
  }
  if (typeof value === 'string' && value.length > maxText) return `${value.slice(0, maxText)}…`;
  return value;
}

async function answer(asked: Asked): Promise<Answer> {
  fault = undefined;
  try {
    const table = asked.kind === 'open' ? await start(asked) : query(asked);
    const { requests = 0, fetchedBytes = 0 } = open?.file ?? {};
    return { id: asked.id, table, requests, fetchedBytes };
  } catch (error) {
    // SQLite says that there was an error of the disk. The read knows which.
    const cause = fault ?? error;
    const message = (cause as Error).message.replace(/^(?:SQLITE_\w+: )?sqlite3 result code \d+: /, '');
    return { id: asked.id, error: message, isChanged: cause instanceof ChangedError };
  }
}

let last: Promise<unknown> = Promise.resolve();
addEventListener('message', ({ data }: MessageEvent<Asked>) => {
  // One after the other.
  last = last.then(async () => postMessage(await answer(data)));
});
