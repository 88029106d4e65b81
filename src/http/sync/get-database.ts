import { basename } from 'node:path';
import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { databasePattern } from '../../config/entities.ts';
import { ConflictError } from '../../errors.ts';
import type { PublishedDatabase, PublishedState } from '../../storage/database/published-database.ts';
import { type ByteRange, readByteRange } from '../byte-range.ts';
import { checkConditions, meetsIfRange } from '../conditions.ts';
import { attachment } from '../content-disposition.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';

/**
 * The most bytes of the database in one response. The host takes the whole response from the worker before it sends any
 * of it, so this bounds the memory that a client can occupy, however slowly it reads, and what is read from storage for
 * a client that has left. HTTP streams of `@azure/functions` would not: they wait for no client and notice none that
 * leaves (github.com/Azure/azure-functions-nodejs-library/issues/294), and a response that fails halfway never ends (324).
 */
export const maxResponseBytes = 4 * 1024 * 1024;

/** How often a response is made anew because of a commit in the middle of it. */
const maxTries = 3;

/**
 * Opens a database; undefined if the mirror is no file.
 * @param name that entities.json gives it; undefined for the default one
 */
export type OpenDatabase = (name?: string) => PublishedDatabase | undefined;

/**
 * `GET /api/database`: a database file, or a range of it; `?name=` of one that entities.json names. All bytes of a response are of the state that its ETag names.
 * A range longer than `maxResponseBytes` is answered with its beginning, which RFC 9110, section 15.3.7, allows: the
 * response says what it has.
 */
export const getDatabase: Handler<OpenDatabase> = async (open, request) => {
  const name = request.query.get('name') ?? undefined;
  if (name !== undefined && !databasePattern.test(name)) throw wrongName(name);
  const database = open(name);
  if (database === undefined) {
    throw new Problem(404, 'The mirror is in PostgreSQL, and not a file.', {
      hint: 'Connect to the database, or send queries to POST /api/query.',
    });
  }
  const pinned = await readPinned(database, request);
  if (pinned !== undefined) return pinned;
  for (let tries = 0; tries < maxTries; tries++) {
    const state = await database.current();
    if (state === undefined) {
      if (name !== undefined) throw noSuchDatabase(name);
      throw new Problem(404, 'There is no database before the first sync.', {
        hint: 'Start a sync with POST /api/sync.',
      });
    }
    const response = await responseOf(database, state, request);
    if (response !== undefined) return response;
  }
  throw new ConflictError(`${database.name} kept changing while it was read.`, { object: database.name });
};

/**
 * What a virtual file system sends, a range of the state that it has opened, costs one request to storage. Undefined for
 * any other request, and if storage has no such range: then the reason is still to be found.
 */
async function readPinned(
  database: PublishedDatabase,
  { method, headers }: HttpRequest,
): Promise<HttpResponseInit | undefined> {
  const etag = /^"[^"]+"$/.exec(headers.get('if-match')?.trim() ?? '')?.[0];
  const range = readByteRange(headers.get('range'), Number.MAX_SAFE_INTEGER);
  const hasOther = ['if-none-match', 'if-range', 'if-modified-since'].some((name) => headers.has(name));
  if (method.toUpperCase() !== 'GET' || etag === undefined || typeof range === 'string' || hasOther) return;
  // The end of a file of unknown length.
  if (/^bytes=\s*-/i.test(headers.get('range')!.trim())) return;
  const { first, last } = beginningOf(range);
  const read = await database.read(etag, first, last - first + 1);
  return read && answer(database, read.state, { first, last: first + read.content.length - 1 }, read.content);
}

/** @returns undefined if another writer has committed meanwhile */
async function responseOf(
  database: PublishedDatabase,
  state: PublishedState,
  request: HttpRequest,
): Promise<HttpResponseInit | undefined> {
  const { etag, bytes } = state;
  const conditions = checkConditions(request.headers, state);
  if (conditions === 'unchanged') return { status: 304, headers: validators(state) };
  if (conditions === 'failed') throw changed(etag);
  if (request.method.toUpperCase() === 'HEAD') return answer(database, state, 'whole', undefined);

  const range = meetsIfRange(request.headers, state) ? request.headers.get('range') : null;
  const asked = readByteRange(range, bytes);
  if (asked === 'unsatisfiable') throw outside(bytes);
  if (asked === 'whole' && bytes > maxResponseBytes) throw tooLarge(bytes, etag);
  if (bytes === 0) return answer(database, state, 'whole', Buffer.alloc(0));
  const { first, last } = asked === 'whole' ? { first: 0, last: bytes - 1 } : beginningOf(asked);
  const read = await database.read(etag, first, last - first + 1);
  return read && answer(database, state, asked === 'whole' ? 'whole' : { first, last }, read.content);
}

function validators({ etag, lastModified }: PublishedState): Record<string, string> {
  return {
    etag,
    'last-modified': lastModified.toUTCString(),
    'accept-ranges': 'bytes',
    // For the caller's own cache, which must ask each time. 304 answers that without a byte of the file.
    'cache-control': 'private, no-cache',
  };
}

/** @param content undefined for HEAD, for which Range is not defined (RFC 9110, section 14.2) */
function answer(
  { name }: PublishedDatabase,
  state: PublishedState,
  range: ByteRange | 'whole',
  content: Buffer | undefined,
): HttpResponseInit {
  const isWhole = range === 'whole';
  return {
    status: isWhole ? 200 : 206,
    headers: {
      ...validators(state),
      'content-type': 'application/vnd.sqlite3',
      'content-length': String(content?.length ?? state.bytes),
      'content-disposition': attachment(basename(name)),
      ...(!isWhole && { 'content-range': `bytes ${range.first}-${range.last}/${state.bytes}` }),
    },
    body: content,
  };
}

function beginningOf({ first, last }: ByteRange): ByteRange {
  return { first, last: Math.min(last, first + maxResponseBytes - 1) };
}

function wrongName(name: string): Problem {
  return new Problem(400, `No database can be called ${name.slice(0, 100)}.`, {
    hint: 'Use the "database" of an entry of entities.json, such as name=sales.',
  });
}

function noSuchDatabase(name: string): Problem {
  return new Problem(404, `There is no database ${name}.`, {
    hint: `It exists after the first sync of a table with "database": "${name}" in entities.json.`,
  });
}

function changed(etag: string): Problem {
  return new Problem(
    412,
    'The database is not the one that the request names: a newer state was committed.',
    { hint: 'Forget what was read of the older state, and read the new one with its ETag.' },
    { etag },
  );
}

function outside(bytes: number): Problem {
  return new Problem(
    416,
    `The database has ${bytes} bytes. The range is outside of them.`,
    { hint: 'HEAD shows the length. A newer state can be shorter: send If-Match with each range.', bytes },
    { 'content-range': `bytes */${bytes}` },
  );
}

function tooLarge(bytes: number, etag: string): Problem {
  return new Problem(
    400,
    `The database has ${bytes} bytes. One response has at most ${maxResponseBytes}.`,
    {
      hint: `Request it in parts: Range: bytes=0-${maxResponseBytes - 1} and so on, each with If-Match: ${etag}. To copy the whole file, download the blob from the storage account.`,
      bytes,
      maxResponseBytes,
    },
    { etag, 'accept-ranges': 'bytes' },
  );
}
