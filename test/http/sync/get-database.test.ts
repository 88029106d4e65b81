import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { databaseOperation } from '../../../src/http/sync/database-openapi.ts';
import { maxResponseBytes } from '../../../src/http/sync/get-database.ts';
import { type FunctionsHost, startFunctionsHost } from '../../../src/local/functions-host/host.ts';
import { openBlobs } from '../../../src/storage/account.ts';
import { DatabaseBlob } from '../../../src/storage/database/database-blob.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { type FaultyProxy, startFaultyProxy } from '../../faulty-proxy.ts';
import { commitFile } from '../../storage/whole-file.ts';

const kib = 1024;
const mib = 1024 * kib;

let azurite: Azurite;
/** The account of the database is one of its own, behind a proxy that counts. */
let data: Azurite;
let proxy: FaultyProxy;
let host: FunctionsHost;
let database: DatabaseBlob;
const documented = Object.keys(databaseOperation(() => ({}))['responses'] as object);
/** The lengths that the app asked the account of the database for. */
const reads: number[] = [];
/** How many requests the account of the database got. */
let requests = 0;

beforeAll(async () => {
  azurite = await startAzurite();
  data = await startAzurite();
  proxy = await startFaultyProxy(data.blobPort);
  const connectionString = data.connectionString.replace(`:${data.blobPort}/`, `:${proxy.port}/`);
  host = await startFunctionsHost({
    appRoot: resolve(import.meta.dirname, '../../..'),
    settings: {
      DATAVERSE_URL: 'https://contoso.crm.dynamics.com',
      DATAVERSE_ACCESS_TOKEN: 'test',
      SYNC_SCHEDULE: '0 0 0 1 1 *',
      SYNC_DATABASE_STORAGE: connectionString,
      SYNC_DATABASE_NAME: 'mirrors/my mirror.db',
    },
    connectionString: azurite.connectionString,
  });
});

afterAll(async () => {
  await host?.stop({ limit: 2_000 });
  await proxy.close();
  await data.stop();
  await azurite.stop();
});

const count = (incoming: IncomingMessage) => {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(String(incoming.headers['x-ms-range'])) ?? [];
  requests += 1;
  if (incoming.method === 'GET' && first !== undefined) reads.push(Number(last) - Number(first) + 1);
};

beforeEach(() => {
  const container = openBlobs({ connectionString: data.connectionString }).getContainerClient('dataverse');
  database = new DatabaseBlob(container, 'mirrors/my mirror.db', {
    layout: [{ size: 4 * kib, count: 1000 }],
  });
});

afterEach(() => {
  proxy.fault = (incoming) => {
    count(incoming);
    return 'none';
  };
  reads.length = 0;
  requests = 0;
});

function start(headers: Record<string, string> = {}, method = 'GET', query = ''): ClientRequest {
  const key = { 'x-functions-key': host.functionKey };
  return httpRequest(`${host.url}/api/database${query}`, { method, headers: { ...key, ...headers } });
}

/** Sends a request with `node:http`, which does not change the response. */
async function send(headers: Record<string, string> = {}, method = 'GET', query = '') {
  const request = start(headers, method, query).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const status = response.statusCode!;
  if (status !== 401) expect(documented, `${status}`).toContain(String(status));
  return { status, headers: response.headers, body: await buffer(response) };
}

async function problem(headers: Record<string, string>, query = '') {
  const answer = await send(headers, 'GET', query);
  expect(answer.headers['content-type']).toBe('application/problem+json');
  return { ...answer, document: JSON.parse(answer.body.toString()) as Record<string, unknown> };
}

test('a database that entities.json names, by its name', async () => {
  const container = openBlobs({ connectionString: data.connectionString }).getContainerClient('dataverse');
  const bytes = randomBytes(10 * kib);
  const sales = new DatabaseBlob(container, 'mirrors/sales.db');
  const { etag } = await commitFile(sales, bytes, { etag: 'absent' });
  const whole = await send({}, 'GET', '?name=sales');
  expect([whole.status, whole.body.equals(bytes)]).toEqual([200, true]);
  expect(whole.headers).toMatchObject({ etag, 'content-disposition': 'attachment; filename="sales.db"' });
  const range = await send({ range: 'bytes=8-15', 'if-match': etag }, 'GET', '?name=sales');
  expect([range.status, range.body.equals(bytes.subarray(8, 16))]).toEqual([206, true]);
  const absent = await problem({}, '?name=service');
  expect([absent.status, absent.document]).toMatchObject([
    404,
    { detail: expect.stringContaining('service') },
  ]);
  for (const name of ['../state', 'Sales', 'sales.db', '', 'a'.repeat(65)])
    expect((await problem({}, `?name=${encodeURIComponent(name)}`)).status).toBe(400);
});

/**
 * The bytes in buffers of this process. V8 frees buffers in the background after a collection, so for a while the count
 * includes some that nothing refers to.
 */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().arrayBuffers;
}

/** The bytes in buffers when two counts in a row agree. */
async function settledBytes(): Promise<number> {
  for (let last = heldBytes(); ; ) {
    await setTimeout(200);
    const held = heldBytes();
    if (Math.abs(held - last) < mib) return held;
    last = held;
  }
}

/** Commits over whatever is there. */
async function commit(bytes: Buffer): Promise<string> {
  return (await commitFile(database, bytes, { etag: (await database.currentEtag()) ?? 'absent' })).etag;
}

test('there is no database yet: 404 with a hint', async () => {
  const { status, document } = await problem({});
  expect(status).toBe(404);
  expect(document).toMatchObject({ hint: 'Start a sync with POST /api/sync.' });
  expect((await send({ 'x-functions-key': 'wrong' })).status).toBe(401);
});

describe('a database that fits into one response', () => {
  const bytes = randomBytes(100 * kib);
  let etag: string;
  beforeAll(async () => {
    etag = await commit(bytes);
  });

  test('GET answers the whole file with its validators', async () => {
    const { status, headers, body } = await send();
    expect([status, body.equals(bytes)]).toEqual([200, true]);
    expect(headers).toMatchObject({
      etag,
      'accept-ranges': 'bytes',
      'content-type': 'application/vnd.sqlite3',
      'content-length': String(bytes.length),
      'content-disposition': 'attachment; filename="my mirror.db"',
      'cache-control': 'private, no-cache',
      'x-content-type-options': 'nosniff',
    });
    expect(etag).toMatch(/^"[^"]+"$/);
    expect(headers).not.toHaveProperty('content-range');
    expect(Date.now() - Date.parse(headers['last-modified']!)).toBeLessThan(600_000);
  });

  test('HEAD answers the same headers, and reads nothing from storage', async () => {
    const [get, head] = [await send(), await send({}, 'HEAD')];
    reads.length = 0;
    const ranged = await send({ range: 'bytes=0-9' }, 'HEAD');
    for (const answer of [head, ranged]) {
      expect([answer.status, answer.body.length]).toEqual([200, 0]);
      const without = ({ date: _, ...headers }: IncomingMessage['headers']) => headers;
      expect(without(answer.headers)).toEqual(without(get.headers));
    }
    expect(reads).toEqual([]);
  });

  test.each([
    ['bytes=0-99', 0, 99],
    ['bytes=4096-8191', 4096, 8191],
    ['bytes=102000-', 102_000, 102_399],
    ['bytes=102000-999999999', 102_000, 102_399],
    ['bytes=-16', 102_384, 102_399],
  ])('%s: 206, and no other byte is read from storage', async (range, first, last) => {
    const { status, headers, body } = await send({ range, 'if-match': etag, 'if-range': etag });
    expect([status, body.equals(bytes.subarray(first, last + 1))]).toEqual([206, true]);
    expect(headers).toMatchObject({
      etag,
      'content-range': `bytes ${first}-${last}/102400`,
      'content-length': String(last - first + 1),
      'content-type': 'application/vnd.sqlite3',
    });
    expect(reads).toEqual([last - first + 1]);
  });

  test('a range of the state that If-Match names costs one request to storage', async () => {
    for (const range of ['bytes=0-99', 'bytes=0-', 'bytes=4096-', 'bytes=102399-999999']) {
      requests = 0;
      const { status, headers } = await send({ range, 'if-match': etag });
      expect([status, headers['content-range']]).toEqual([206, expect.stringMatching(/-\d+\/102400$/)]);
      expect(requests).toBe(1);
    }
    requests = 0;
    expect((await send({ range: 'bytes=0-99' })).status).toBe(206);
    expect(requests).toBe(2);
    expect((await problem({ range: 'bytes=102400-', 'if-match': etag })).status).toBe(416);
    const tail = await send({ range: 'bytes=-16', 'if-match': etag });
    expect(tail.headers['content-range']).toBe('bytes 102384-102399/102400');
  });

  test.each([
    { range: 'bytes=0-1,4-5' },
    { range: 'pages=0-1' },
    { range: 'bytes=5-4' },
    { range: 'bytes=0-9', 'if-range': '"another"' },
  ])('%j: the whole file', async (headers) => {
    const { status, body } = await send(headers as Record<string, string>);
    expect([status, body.equals(bytes)]).toEqual([200, true]);
  });

  test('a range outside of the file: 416 with its length', async () => {
    const { status, headers, document } = await problem({ range: 'bytes=102400-' });
    expect([status, headers['content-range']]).toEqual([416, 'bytes */102400']);
    expect(document).toMatchObject({ bytes: 102_400, hint: expect.stringContaining('If-Match') });
  });

  test('If-None-Match: 304 without a body', async () => {
    for (const headers of [{ 'if-none-match': etag }, { 'if-none-match': etag, range: 'bytes=0-9' }]) {
      for (const method of ['GET', 'HEAD']) {
        const { status, headers: answered, body } = await send(headers as Record<string, string>, method);
        expect([status, body.length, answered.etag]).toEqual([304, 0, etag]);
        expect(answered).not.toHaveProperty('content-range');
      }
    }
    expect(reads).toEqual([]);
    expect((await send({ 'if-none-match': '"another"' })).status).toBe(200);
  });

  test('If-Match of another state: 412 with the present ETag', async () => {
    const { status, headers, document } = await problem({ 'if-match': '"another"', range: 'bytes=0-9' });
    expect([status, headers.etag]).toEqual([412, etag]);
    expect(document).toMatchObject({ hint: expect.stringContaining('read the new one') });
  });

  test('the blob changes between the look and the read: the response is made anew, or 503', async () => {
    let conflicts = 1;
    proxy.fault = ({ method }) =>
      method === 'GET' && conflicts-- > 0 ? { status: 412, code: 'ConditionNotMet' } : 'none';
    expect(await send({ range: 'bytes=0-9' })).toMatchObject({ status: 206, body: bytes.subarray(0, 10) });
    conflicts = Number.POSITIVE_INFINITY;
    const { status, headers } = await problem({ range: 'bytes=0-9' });
    expect([status, headers['retry-after']]).toEqual([503, '5']);
  });
});

/** A state in which each number of four bytes is `generation`. */
const stateOf = (generation: number) => {
  const bytes = Buffer.alloc(64 * kib);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(generation, at);
  return bytes;
};

test('4 KiB ranges with If-Match during many commits: whole states or 412, never a mixture', async () => {
  const generationOf = new Map<string, number>();
  let generation = 0;
  const commitNext = async () => {
    generation += 1;
    generationOf.set(await commit(stateOf(generation)), generation);
  };
  await commitNext();
  let isReading = true;
  const committing = (async () => {
    while (isReading) await commitNext();
  })();

  let whole = 0;
  let refused = 0;
  const readState = async () => {
    const { headers } = await send({}, 'HEAD');
    const parts: Buffer[] = [];
    for (let first = 0; first < Number(headers['content-length']); first += 4 * kib) {
      const range = `bytes=${first}-${first + 4 * kib - 1}`;
      const { status, body } = await send({ range, 'if-match': headers.etag! });
      if (status === 412) {
        refused += 1;
        return;
      }
      expect(status).toBe(206);
      parts.push(body);
    }
    whole += 1;
    expect(Buffer.concat(parts).equals(stateOf(generationOf.get(headers.etag!)!))).toBe(true);
  };
  // Without a condition, each response is still of the state that it names.
  const readOnce = async () => {
    const { status, headers, body } = await send({ range: 'bytes=1000-60000' });
    if (status === 503) return;
    const expected = () => stateOf(generationOf.get(headers.etag!)!).subarray(1000, 60_001);
    await expect.poll(() => generationOf.has(headers.etag!)).toBe(true);
    expect([status, body.equals(expected())]).toEqual([206, true]);
  };
  for (let n = 0; n < 6; n++) {
    await readState();
    await readOnce();
  }
  isReading = false;
  await committing;
  await readState();
  expect(generation).toBeGreaterThan(6);
  expect([whole > 0, refused > 0]).toEqual([true, true]);
});

describe('a database that does not fit into one response', () => {
  const bytes = Buffer.alloc(18 * mib, randomBytes(mib - 4));
  let etag: string;
  beforeAll(async () => {
    const container = openBlobs({ connectionString: data.connectionString }).getContainerClient('dataverse');
    database = new DatabaseBlob(container, 'mirrors/my mirror.db', {
      layout: [{ size: 4 * mib, count: 100 }],
    });
    etag = await commit(bytes);
  });

  test('as a whole: a problem that says how to read it; HEAD says the length', async () => {
    const { status, headers, document } = await problem({});
    expect([status, headers.etag, headers['accept-ranges']]).toEqual([400, etag, 'bytes']);
    expect(document).toMatchObject({
      bytes: bytes.length,
      maxResponseBytes,
      hint: expect.stringContaining(`Range: bytes=0-${maxResponseBytes - 1}`),
    });
    expect((await problem({ range: 'bytes=0-1,4-5' })).status).toBe(400);
    expect(reads).toEqual([]);
    const head = await send({}, 'HEAD');
    expect([head.status, head.headers['content-length']]).toEqual([200, String(bytes.length)]);
    expect((await send({ 'if-none-match': etag })).status).toBe(304);
  });

  test('a longer range is answered with its beginning, so a reader goes on from there', async () => {
    const parts: Buffer[] = [];
    let at = 0;
    while (at < bytes.length) {
      const { status, headers, body } = await send({ range: `bytes=${at}-`, 'if-match': etag });
      expect([status, headers['content-range']]).toEqual([
        206,
        `bytes ${at}-${Math.min(at + maxResponseBytes, bytes.length) - 1}/${bytes.length}`,
      ]);
      parts.push(body);
      at += body.length;
    }
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
    const tail = await send({ range: `bytes=-${bytes.length}` });
    expect(tail.headers['content-range']).toBe(`bytes 0-${maxResponseBytes - 1}/${bytes.length}`);
  });

  test('of a client that leaves, storage is read no further than one response', async () => {
    const ended: string[] = [];
    const stop = host.onInvocation(({ functionName, state }) => {
      if (functionName === 'database' && state !== 'started') ended.push(state);
    });
    // One leaves while the app reads, the other when the response begins.
    const early = start({ range: 'bytes=0-' }).end();
    early.on('error', () => undefined);
    await expect.poll(() => reads.length).toBe(1);
    early.destroy();
    const late = start({ range: 'bytes=0-' }).end();
    const [response] = (await once(late, 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    late.destroy();
    await expect.poll(() => ended).toEqual(['succeeded', 'succeeded']);
    stop();
    expect(reads).toEqual([maxResponseBytes, maxResponseBytes]);
  });

  test('clients that read nothing occupy memory for one response each, and no more', async () => {
    const clients = 6;
    const before = await settledBytes();
    const requests = Array.from({ length: clients }, () => start({ range: 'bytes=0-' }).end());
    const responses = await Promise.all(
      requests.map(async (request) => (await once(request, 'response'))[0] as IncomingMessage),
    );
    expect(reads).toEqual(Array.from({ length: clients }, () => maxResponseBytes));
    // The host and the proxy are in this process, too, so a response is in memory a few times.
    const limit = before + clients * maxResponseBytes * 3;
    await expect.poll(heldBytes, { interval: 200 }).toBeLessThan(limit);
    // The others are served meanwhile.
    expect((await send({ range: 'bytes=0-4095' })).status).toBe(206);
    for (const response of responses) response.on('error', () => undefined).destroy();
  });
});
