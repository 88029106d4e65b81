import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { createDefaultHttpClient, type HttpClient } from '@azure/core-rest-pipeline';
import { expect, test } from 'vitest';
import { parseRows } from '../../../src/dataverse/read/page.ts';
import { createRequestStats } from '../../../src/dataverse/transport/stats.ts';
import type { Log } from '../../../src/dataverse/transport/transport.ts';
import { describeError } from '../../../src/errors.ts';
import { captureLog, clientFor, sendError, sendJson, startServer, testToken } from '../http-server.ts';

/** A seeded random number generator, so that a failing run can be repeated. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Counts the requests that are sent after a 429 was read and before its Retry-After ends. */
function watchRetryAfter(): { httpClient: HttpClient; early: () => number } {
  const inner = createDefaultHttpClient();
  const refusals: { read: number; until: number }[] = [];
  let early = 0;
  return {
    early: () => early,
    httpClient: {
      async sendRequest(request) {
        const now = performance.now();
        if (refusals.some(({ read, until }) => now > read && now < until)) early += 1;
        const response = await inner.sendRequest(request);
        if (response.status === 429) {
          const until = performance.now() + Number(response.headers.get('retry-after')) * 1000;
          response.readableStreamBody!.once('close', () => refusals.push({ read: performance.now(), until }));
        }
        return response;
      },
    },
  };
}

test('reads a hundred pages despite throttling, resets and cut bodies, and never retries early', async () => {
  const random = seeded(42);
  const faults = { throttled: 0, reset: 0, cut: 0 };
  // From the third 429 in a row on, a set waits alone while others are answered. Here every pause is one for all.
  const refusedInARow = new Map<string, number>();
  await using server = await startServer((request, response) => {
    const dice = random();
    const key = Number(/\$skiptoken=(\d+)/.exec(request.url!)?.[1] ?? 0);
    const set = /v9.2\/(\w+)/.exec(request.url!)![1]!;
    const page = {
      value: [{ set, key }],
      '@odata.nextLink': key < 9 ? `${server.url}/api/data/v9.2/${set}?$skiptoken=${key + 1}` : undefined,
    };
    const refused = refusedInARow.get(set) ?? 0;
    if (dice < 0.2 && refused < 2) {
      refusedInARow.set(set, refused + 1);
      faults.throttled += 1;
      sendError(
        response,
        429,
        '0x80072322',
        'Number of requests exceeded the limit of 6000 over time window of 300 seconds.',
        {
          'retry-after': '0.3',
        },
      );
    } else if (dice >= 0.2 && dice < 0.25) {
      faults.reset += 1;
      response.socket!.destroy();
    } else if (dice >= 0.25 && dice < 0.27) {
      faults.cut += 1;
      const body = gzipSync(JSON.stringify(page));
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': body.length });
      response.write(body.subarray(0, -9), () => response.socket!.destroy());
    } else {
      refusedInARow.delete(set);
      sendJson(response, page, 200, {
        'x-ms-ratelimit-time-remaining-xrm-requests': '1,200.00',
        'x-ms-dop-hint': '4',
      });
    }
  });
  const { log, text } = captureLog();
  const timing = watchRetryAfter();
  const client = clientFor(server, { log, random, httpClient: timing.httpClient });
  const stats = createRequestStats();
  const sets = Array.from({ length: 10 }, (_, i) => `set${i}`);
  const read = await Promise.all(
    sets.map(async (entitySet) => {
      const rows: unknown[] = [];
      for await (const page of client.readPages({ entitySet }, { stats })) rows.push(...parseRows(page));
      return rows;
    }),
  );
  expect(read).toEqual(sets.map((set) => Array.from({ length: 10 }, (_, key) => ({ set, key }))));
  expect(timing.early()).toBe(0);
  const total = faults.throttled + faults.reset + faults.cut;
  expect(total).toBeGreaterThan(15);
  expect(stats).toEqual(client.stats);
  expect(stats).toMatchObject({ requests: 100 + total, retries: total, throttled: faults.throttled });
  expect(text()).toContain('"remainingSeconds":1200');
  expect(text()).not.toContain(testToken);
  expect(text()).not.toContain('skiptoken');
});

test('applies Retry-After to all requests, also to those that did not get a 429', async () => {
  const sent: number[] = [];
  await using server = await startServer((_, response, number) => {
    sent.push(performance.now());
    if (number === 1)
      sendError(response, 429, '0x80072326', 'Number of concurrent requests exceeded the limit of 52.', {
        'retry-after': '1',
      });
    else sendJson(response, { value: [] });
  });
  const client = clientFor(server, { maxConcurrency: 1 });
  await Promise.all(['a', 'b', 'c'].map((set) => client.count(set).catch(() => 0)));
  const refused = sent[0]!;
  for (const at of sent.slice(1)) expect(at - refused).toBeGreaterThanOrEqual(1000);
});

test('survives many short pauses whose sum exceeds the time limit of one request', async () => {
  await using server = await startServer((_, response, number) => {
    if (number % 2 === 0) sendError(response, 429, '0x80072322', 'too many', { 'retry-after': '0.1' });
    else sendJson(response, { value: [] });
  });
  const client = clientFor(server, {
    maxConcurrency: 1,
    retry: { maxTotalSeconds: 2, baseDelaySeconds: 0.001 },
  });
  const calls = Array.from({ length: 27 }, () => client.request({ operation: 'read', url: 'accounts' }));
  expect((await Promise.all(calls)).every(({ status }) => status === 200)).toBe(true);
  expect(client.stats.throttled).toBe(26);
});

test('fails all requests at once if the pause is too long', async () => {
  await using server = await startServer((_, response) =>
    sendError(response, 429, '0x80072322', 'too many', { 'retry-after': '600' }),
  );
  const client = clientFor(server);
  const began = performance.now();
  const [first, second] = await Promise.allSettled([
    client.readRow('accounts', { a: 1 }),
    client.count('accounts'),
  ]);
  expect(first).toMatchObject({ reason: { name: 'DataverseRetriableError', retryAfterSeconds: 600 } });
  expect(second.status).toBe('rejected');
  await expect(client.count('accounts')).rejects.toMatchObject({
    name: 'DataverseRetriableError',
    retryAfterSeconds: 300,
  });
  expect(server.requests.length).toBeLessThanOrEqual(2);
  expect(performance.now() - began).toBeLessThan(60_000);
});

test.each([
  [
    502,
    'text/html',
    '<html><body>Bad Gateway</body></html>',
    'DataverseRetriableError',
    '37 bytes of text/html',
  ],
  [503, 'text/plain', '', 'DataverseRetriableError', 'an empty body'],
  [401, 'text/html', '', 'DataverseConfigurationError', 'status 401'],
  [
    403,
    'application/json',
    '{"error":{"code":"0x80072560","message":"The user is not a member of the organization."}}',
    'DataverseConfigurationError',
    'not a member',
  ],
  [
    403,
    'application/json',
    '{"error":{"code":"0x80040220","message":"missing prvReadAccount"}}',
    'DataverseSkipError',
    'prvReadAccount',
  ],
  [
    404,
    'application/json',
    `{"error":{"code":"0x8006088a","message":"Resource not found for the segment 'Account'."}}`,
    'DataverseSkipError',
    'segment',
  ],
  [404, 'text/html', '<html>', 'DataverseConfigurationError', 'text/html'],
  [
    400,
    'application/json',
    '{"error":{"code":"0x80040800","message":"RetrieveMultiple"}}',
    'DataverseSkipError',
    '0x80040800',
  ],
  [400, 'application/json', '{"error":{"code":', 'DataverseSkipError', '17 bytes of application/json'],
  [302, 'text/html', '', 'DataverseConfigurationError', 'status 302'],
  [
    500,
    'application/json',
    '{"error":{"code":"0x80044150","message":"Generic SQL error. Sql Number: 1205"}}',
    'DataverseRetriableError',
    '1205',
  ],
])('status %i, %s %s → %s', async (status, type, body, name, message) => {
  await using server = await startServer((_, response) => {
    response
      .writeHead(status, {
        'content-type': type,
        'x-ms-service-request-id': 'req-1',
        location: 'http://127.0.0.1:1/',
      })
      .end(body);
  });
  const client = clientFor(server, { retry: { maxTries: 2, baseDelaySeconds: 0.001 } });
  const error = await client
    .readPages({ entitySet: 'accounts' }, { correlationId: 'corr-1' })
    .next()
    .catch((caught) => caught);
  expect(error.name).toBe(name);
  expect(error.message).toContain(message);
  expect(error.fault).toMatchObject({
    status,
    entitySet: 'accounts',
    operation: 'read page 1 of accounts',
    requestId: 'req-1',
    correlationId: 'corr-1',
  });
  expect(error.fault.clientRequestId).toMatch(/^[0-9a-f-]{36}$/);
  expect(describeError(error).message).toBe(error.message);
  expect(server.requests.length).toBe(error.fault.transient || status === 401 ? 2 : 1);
});

test('keeps the token out of logs and errors, even if the server returns it', async () => {
  await using server = await startServer((request, response, number) => {
    const echo = `you sent ${request.headers['authorization']} eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl`;
    if (number === 1) response.socket!.destroy();
    else if (number === 2) sendError(response, 429, '0x80072322', echo, { 'retry-after': '0' });
    else sendError(response, 400, '0x80060888', echo);
  });
  const { log, text } = captureLog();
  const client = clientFor(server, { log });
  const error = await client
    .readPages({ entitySet: 'accounts', filter: "name eq 'Secret Ltd'" })
    .next()
    .catch((caught) => caught);
  const everything = text() + inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error);
  expect(text()).toContain('seconds: read page 1 of accounts');
  for (const secret of [testToken, 'eyJhbGciOi', 'Secret']) expect(everything).not.toContain(secret);
});

test('logs each retry once at debug level, and throws a failure without logging it', async () => {
  await using server = await startServer((_, response, number) => {
    if (number === 1) sendError(response, 503, '', 'busy');
    else sendError(response, 400, '0x80060888', 'no');
  });
  const lines: Parameters<Log>[] = [];
  const client = clientFor(server, { log: (...line) => lines.push(line) });
  await expect(client.readPages({ entitySet: 'accounts' }).next()).rejects.toThrow('read page 1 of accounts');
  expect(lines.map(([level]) => level)).toEqual(['debug', 'debug', 'debug']);
  expect(lines.map(([, message]) => message.replace(/\d+\.\d/, 'N'))).toEqual([
    'Received status 503: read page 1 of accounts',
    'Retrying in N seconds: read page 1 of accounts',
    'Received status 400: read page 1 of accounts',
  ]);
  expect(lines[1]![2]).toMatchObject({
    operation: 'read page 1 of accounts',
    entitySet: 'accounts',
    status: 503,
    attempt: 2,
    waitSeconds: expect.any(Number),
  });
});

test('an abort ends the wait, the queue and the read of a body', async () => {
  await using server = await startServer((_, response, number) => {
    if (number === 1) sendError(response, 503, '', 'busy', { 'retry-after': '30' });
    else response.writeHead(200, { 'content-length': '100' }).write('{"value":[');
  });
  const client = clientFor(server);
  const waiting = AbortSignal.timeout(50);
  await expect(client.count('accounts', { signal: waiting })).rejects.toMatchObject({ name: 'TimeoutError' });
  const stop = new AbortController();
  await using slow = await startServer((_, response) => {
    response
      .writeHead(200, { 'content-length': '100' })
      .write('{"value":[', () => stop.abort(new Error('enough')));
  });
  const pages = clientFor(slow).readPages({ entitySet: 'accounts' }, { signal: stop.signal });
  await expect(pages.next()).rejects.toThrow('enough');
  expect(slow.requests).toHaveLength(1);
});

test('retries a body that stalls beyond the time limit', async () => {
  await using server = await startServer((_, response, number) => {
    if (number === 1)
      response.writeHead(200, { 'content-length': '100', 'content-encoding': 'gzip' }).write('x');
    else sendJson(response, { value: [] });
  });
  const client = clientFor(server);
  const reply = await client.request({ operation: 'read', url: 'accounts', timeoutSeconds: 0.5 });
  expect(reply.status).toBe(200);
  expect(client.stats).toMatchObject({ requests: 2, retries: 1 });
});
