import initSqlite, { type Sqlite3Static } from '@sqlite.org/sqlite-wasm';
import { installVfs } from './mirror-vfs.ts';
import { SavedFile } from './read/saved-file.ts';
import type { Answer, Asked, Cell, OpenPlace, Results, Saved, Table } from './read/worker-messages.ts';
import { ChangedError, RemoteFile } from './remote-file.ts';

/*
 * The thread in which SQLite runs. It can only read, and has one state open. It ends with that, or with a query that takes
 * too long.
 */

let open:
  | { file: RemoteFile; db: InstanceType<Sqlite3Static['oo1']['DB']>; capi: Sqlite3Static['capi'] }
  | undefined;
/** What the last read of the file threw. */
let fault: unknown;

async function start({ database, key, wasm }: OpenPlace): Promise<Results['open']> {
  const sqlite3 = await load(wasm);
  const file = new RemoteFile(database, key);
  installVfs(sqlite3, 'mirror', file, (error) => {
    fault = error;
  });
  const db = new sqlite3.oo1.DB('file:mirror.db?vfs=mirror&immutable=1', 'r');
  db.exec(
    'PRAGMA temp_store = memory; PRAGMA trusted_schema = off; PRAGMA query_only = on; PRAGMA cache_size = -16000',
  );
  open = { file, db, capi: sqlite3.capi };
  return { etag: file.etag };
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

type Row = (Cell | Uint8Array)[];

/** Runs a statement. @param begin gets the names of the columns, and returns what takes each row and says whether to go on */
function run(
  { sql, parameters }: { sql: string; parameters: Cell[] },
  begin: (columns: string[]) => (row: Row) => boolean,
): void {
  if (open === undefined) throw new Error('The mirror is not open.');
  const { db, capi } = open;
  const statement = db.prepare(sql);
  try {
    // SQLite keeps what it has read of the text: one statement (sqlite.org: sqlite3_sql).
    const read = capi.sqlite3_sql(statement.pointer as number) ?? '';
    if (!isNothing(sql.slice(read.length)))
      throw new Error('Only one statement runs at a time. Remove what is behind the first semicolon.');
    if (parameters.length > 0) statement.bind(parameters as never);
    const columns = statement.columnCount === 0 ? [] : (statement.getColumnNames([]) as string[]);
    const take = begin(columns);
    while (statement.step()) {
      if (!take(columns.map((_, n) => statement.get(n) as Cell | Uint8Array))) break;
    }
  } finally {
    statement.finalize();
  }
}

/** Whether a text has only spaces, semicolons and comments. */
function isNothing(text: string): boolean {
  // Part by part: as one expression it would take for a comment what ends at a later end of one.
  const part = /[\s;]+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y;
  let at = 0;
  while (part.test(text)) at = part.lastIndex;
  return at === text.length;
}

function query({ maxRows, maxText, whole, ...statement }: Asked & { kind: 'query' }): Table {
  const table: Table = { columns: [], rows: [], isCut: false };
  run(statement, (columns) => {
    table.columns = columns;
    const most = columns.map((name) => (whole.includes(name) ? Infinity : maxText));
    return (row) => {
      table.isCut = table.rows.length === maxRows;
      if (!table.isCut) table.rows.push(row.map((value, n) => shortened(value, most[n]!)));
      return !table.isCut;
    };
  });
  return table;
}

function shortened(value: Cell | Uint8Array, maxText: number): Cell {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return typeof value === 'string' && value.length > maxText ? `${value.slice(0, maxText)}…` : value;
}

function save({ maxRows, maxBytes, format, ...statement }: Asked & { kind: 'save' }): Saved {
  let file: SavedFile | undefined;
  let isCut = false;
  run(statement, (columns) => {
    const into = new SavedFile(format, columns, maxBytes);
    file = into;
    let isFull = false;
    return (row) => {
      isCut = isFull || into.rows === maxRows;
      if (!isCut) isFull = !into.add(row.map(asSql));
      return !isCut;
    };
  });
  return { file: file!.end(), rows: file!.rows, isCut };
}

/** A blob as SQL writes it. */
function asSql(value: Cell | Uint8Array): Cell {
  if (!(value instanceof Uint8Array)) return value;
  let hex = '';
  for (let at = 0; at < value.length; at += 4096)
    hex += Array.from(value.subarray(at, at + 4096), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `X'${hex.toUpperCase()}'`;
}

async function answer(asked: Asked & OpenPlace): Promise<Answer> {
  fault = undefined;
  try {
    const result =
      asked.kind === 'open' ? await start(asked) : asked.kind === 'query' ? query(asked) : save(asked);
    const { requests = 0, fetchedBytes = 0 } = open?.file ?? {};
    return { result, requests, fetchedBytes };
  } catch (error) {
    // SQLite says that there was an error of the disk. The read knows which.
    const cause = fault ?? error;
    const message = (cause as Error).message.replace(/^(?:SQLITE_\w+: )?sqlite3 result code \d+: /, '');
    return { error: message, isChanged: cause instanceof ChangedError };
  }
}

addEventListener('message', async ({ data }: MessageEvent<Asked & OpenPlace>) =>
  postMessage(await answer(data)),
);
