import type { ServerResponse } from 'node:http';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { responsesInMemory } from '../../../src/dataverse/transport/http-exchange.ts';
import { clientFor, sendJson, startServer } from '../http-server.ts';

const megabyte = 1024 ** 2;
const blanks = Buffer.alloc(300 * megabyte, ' ');
/** A page of 300 MB in 300 kB. */
const bomb = gzipSync(Buffer.concat([Buffer.from('{"value":['), blanks, Buffer.from(']}')]));
/** The size at the end is that of the last stream only. */
const lyingBomb = Buffer.concat([bomb, gzipSync(' ')]);

function sendBytes(response: ServerResponse, body: Buffer, encoding: string, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-encoding': encoding }).end(body);
}

afterEach(() => expect(responsesInMemory.used).toBe(0));

describe('a page', () => {
  test.each([
    ['that unpacks to more than the limit', bomb],
    ['that hides how much it unpacks to', lyingBomb],
  ])('%s fails its table at once, and takes no more memory than the limit', async (_, body) => {
    await using server = await startServer((_request, response) => sendBytes(response, body, 'gzip'));
    const client = clientFor(server);
    const before = process.memoryUsage().rss;
    let peak = before;
    const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 5);
    const error = await client
      .readPages({ entitySet: 'accounts' })
      .next()
      .catch((caught) => caught);
    clearInterval(timer);
    expect(error).toMatchObject({
      name: 'DataverseSkipError',
      message:
        'Cannot read page 1 of accounts: the body cannot be read: it is larger than the limit of 256 MiB',
      hint: expect.stringContaining('DATAVERSE_PAGE_SIZE'),
    });
    expect(server.requests).toHaveLength(1);
    expect(peak - before).toBeLessThan(400 * megabyte);
  });

  test('without a length fails as soon as it exceeds the limit', async () => {
    const part = Buffer.alloc(4 * megabyte, ' ');
    await using server = await startServer((_request, response) => {
      response.writeHead(200);
      const send = () => {
        while (!response.destroyed && response.write(part));
      };
      response.on('drain', send);
      send();
    });
    const read = clientFor(server).readPages({ entitySet: 'accounts' }).next();
    await expect(read).rejects.toThrow('larger than the limit of 256 MiB');
  });

  test('in an encoding that was not requested is not unpacked', async () => {
    const body = brotliCompressSync('{"value":[]}', { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } });
    for (const encoding of ['br', 'deflate', 'constructor', '__proto__', 'gzip, gzip']) {
      await using server = await startServer((_request, response) => sendBytes(response, body, encoding));
      const read = clientFor(server, { retry: { maxTries: 1 } })
        .readPages({ entitySet: 'accounts' })
        .next();
      await expect(read, encoding).rejects.toThrow('it is compressed in a way that was not requested');
    }
  });
});

test('other responses have a smaller limit', async () => {
  await using server = await startServer((_request, response) => sendBytes(response, bomb, 'gzip'));
  await expect(clientFor(server).readMetadataDocument()).rejects.toThrow('larger than the limit of 64 MiB');
  await expect(clientFor(server).readRow('accounts', '00000000-0000-0000-0000-000000000001')).rejects.toThrow(
    'larger than the limit of 64 MiB',
  );
});

test('of an error that is too long, only the status is used', async () => {
  await using server = await startServer((_request, response) => sendBytes(response, bomb, 'gzip', 400));
  const read = clientFor(server).readPages({ entitySet: 'accounts' }).next();
  await expect(read).rejects.toThrow(
    'Cannot read page 1 of accounts: status 400: the response was an empty body',
  );
});

test('pages give their bytes back, whether they are read to the end or not', async () => {
  const text = 'x'.repeat(2_000_000);
  await using server = await startServer((request, response) => {
    const at = Number(/skiptoken=(\d+)/.exec(request.url!)?.[1] ?? 0);
    const next = at < 5 ? { '@odata.nextLink': `/api/data/v9.2/accounts?$skiptoken=${at + 1}` } : {};
    sendJson(response, { value: [{ text }], ...next });
  });
  const client = clientFor(server);
  let pages = 0;
  for await (const page of client.readPages({ entitySet: 'accounts' })) {
    pages += 1;
    expect(responsesInMemory.used).toBeGreaterThanOrEqual(page.body.length);
    // The page that the caller has, and the one that is read ahead.
    expect(responsesInMemory.used).toBeLessThan(3 * page.body.length + megabyte);
  }
  expect(pages).toBe(6);
  expect(responsesInMemory.used).toBe(0);
  for await (const _ of client.readPages({ entitySet: 'accounts' })) break;
});

test('a body that is too large does not keep its connection open', async () => {
  let open = 0;
  await using server = await startServer((_request, response) => {
    open += 1;
    response.once('close', () => (open -= 1));
    response.writeHead(200, { 'content-length': 300 * megabyte });
    response.write(Buffer.alloc(megabyte));
  });
  const client = clientFor(server);
  for (let n = 0; n < 3; n++) {
    await expect(client.readPages({ entitySet: 'accounts' }).next()).rejects.toThrow('larger than the limit');
  }
  await expect.poll(() => open).toBe(0);
});

test('a wait of hours that one response asks for stops other requests for minutes at most', async () => {
  await using server = await startServer((request, response) => {
    if (request.url!.includes('accounts')) response.writeHead(429, { 'retry-after': '999999999' }).end();
    else sendJson(response, { value: [] });
  });
  const client = clientFor(server);
  await expect(client.readPages({ entitySet: 'accounts' }).next()).rejects.toMatchObject({
    fault: { retryAfterSeconds: 999_999_999 },
  });
  await expect(client.readPages({ entitySet: 'contacts' }).next()).rejects.toMatchObject({
    name: 'DataverseRetriableError',
    fault: { retryAfterSeconds: 300 },
  });
});

describe('the head of a page', () => {
  /** Seconds that the scan of a response took: it is synchronous, so no time limit would end it. */
  async function secondsFor(body: string): Promise<number> {
    await using server = await startServer((_request, response) => sendJson(response, body));
    const client = clientFor(server, { retry: { maxTries: 1 } });
    const began = performance.now();
    try {
      for await (const _ of client.readPages({ entitySet: 'accounts' }));
    } catch {
      // Most of them are no pages.
    }
    return (performance.now() - began) / 1000;
  }

  test.each([
    ['many arrays named value', (n: number) => `{"x":[${'"value":['.repeat(n)}`],
    ['many escaped names', (n: number) => `{"a":"${'\\"value\\":['.repeat(n)}","value":[]}`],
    ['many objects', (n: number) => `[${'{"value":[1]},'.repeat(n)}{"value":[]}]`],
    ['deep nesting', (n: number) => `{"x":${'['.repeat(n)}${']'.repeat(n)},"value":[]}`],
  ])('with %s takes time in proportion to its length', async (_, make) => {
    await secondsFor(make(10));
    const [some, many] = [await secondsFor(make(1000)), await secondsFor(make(8000))];
    // Eight times the length: a scan that starts again at each name would take 64 times as long, several seconds.
    expect(many).toBeLessThan(20 * some + 0.5);
  });
});
