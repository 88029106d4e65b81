import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { type Page, parseRows } from '../../../src/dataverse/client.ts';
import { parseTombstone } from '../../../src/dataverse/read/change-tracking.ts';
import { clientFor, sendError, sendJson, startServer } from '../http-server.ts';

async function readAll(pages: AsyncGenerator<Page>): Promise<Page[]> {
  const all: Page[] = [];
  for await (const page of pages) all.push(page);
  return all;
}

test('follows nextLink unchanged and repeats Prefer on every page', async () => {
  const raw = `/api/data/v9.2/contacts?$select=fullname&$skiptoken=%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%253ccookie%2520page%253d%25221%2522%253e'x'%22/%3E`;
  await using server = await startServer((request, response) => {
    if (request.url === raw) sendJson(response, { value: [{ contactid: 'b' }] });
    else sendJson(response, { value: [{ contactid: 'a' }], '@odata.nextLink': server.url + raw });
  });
  const client = clientFor(server);
  const pages = await readAll(
    client.readPages({
      entitySet: 'contacts',
      select: ['fullname'],
      annotations: ['Microsoft.Dynamics.CRM.lookuplogicalname'],
    }),
  );
  expect(pages.flatMap(parseRows)).toEqual([{ contactid: 'a' }, { contactid: 'b' }]);
  expect(server.requests.map(({ url }) => url)).toEqual(['/api/data/v9.2/contacts?$select=fullname', raw]);
  for (const { headers } of server.requests) {
    expect(headers['prefer']).toBe(
      'odata.maxpagesize=5000,odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname"',
    );
    expect(headers['authorization']).toBe('Bearer test-token-that-no-log-may-hold');
    expect(headers['x-ms-client-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  }
  expect(client.stats).toMatchObject({ requests: 2, retries: 0, throttled: 0 });
});

test('inflates gzip pages and counts both sizes', async () => {
  const rows = Array.from({ length: 2000 }, (_, i) => ({
    accountid: `row ${i}`,
    name: 'Zoë 🐘 "quoted" ]}',
  }));
  await using server = await startServer((request, response) => {
    expect(request.headers['accept-encoding']).toBe('gzip');
    const body = gzipSync(JSON.stringify({ value: rows }));
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(body);
  });
  const client = clientFor(server);
  const [page] = await readAll(client.readPages({ entitySet: 'accounts' }));
  expect(parseRows(page!)).toEqual(rows);
  expect(client.stats.bytesReceived).toBe(page!.body.length);
  expect(client.stats.wireBytes).toBeLessThan(client.stats.bytesReceived / 10);
});

test('rejects a link to another origin without requesting it', async () => {
  await using other = await startServer((_, response) => sendJson(response, { value: [] }));
  await using server = await startServer((_, response) => {
    sendJson(response, {
      value: [{ accountid: 'a' }],
      '@odata.nextLink': `${other.url}/api/data/v9.2/accounts?$skiptoken=2`,
    });
  });
  const read = readAll(clientFor(server).readPages({ entitySet: 'accounts' }));
  await expect(read).rejects.toMatchObject({ name: 'LinkError', object: 'accounts' });
  expect(other.requests).toHaveLength(0);
});

test('rejects a link that was followed before, and names the page', async () => {
  await using server = await startServer((_, response) => {
    sendJson(response, {
      value: [{ accountid: 'a' }],
      '@odata.nextLink': `${server.url}/api/data/v9.2/accounts?$skiptoken=2`,
    });
  });
  const read = readAll(clientFor(server).readPages({ entitySet: 'accounts' }));
  await expect(read).rejects.toThrow(/page 3 of accounts.*followed before/);
  expect(server.requests).toHaveLength(2);
});

test('reads all pages without an order if the order is rejected', async () => {
  await using server = await startServer((request, response) => {
    if (request.url!.includes('orderby'))
      sendError(response, 400, '0x80060888', 'The query parameter $orderby is not supported');
    else if (request.url!.includes('skiptoken')) sendJson(response, { value: [{ id: 2 }] });
    else
      sendJson(response, {
        value: [{ id: 1 }],
        '@odata.nextLink': `${server.url}/api/data/v9.2/audits?$skiptoken=2`,
      });
  });
  const pages = await readAll(clientFor(server).readPages({ entitySet: 'audits', orderBy: 'createdon asc' }));
  expect(pages.flatMap(parseRows)).toEqual([{ id: 1 }, { id: 2 }]);
  expect(pages.every((page) => page.refused?.join() === 'order')).toBe(true);
});

test('reads all columns if their list is longer than a URL, also by id', async () => {
  await using server = await startServer((_, response) =>
    sendJson(response, { value: [{ accountid: 'a' }] }),
  );
  const client = clientFor(server);
  const select = Array.from({ length: 900 }, (_, n) => `new_measurementofthetestsection${n}inmillimetres`);
  const [page] = await readAll(client.readPages({ entitySet: 'accounts', select }));
  expect(page?.refused).toEqual(['columns']);
  await readAll(client.readByIds({ entitySet: 'accounts', primaryKey: 'accountid', ids: ['a'], select }));
  expect(server.requests.map(({ url }) => url.includes('$select'))).toEqual([false, false]);
  const needed = client.readPages({ entitySet: 'accounts', select, needsSelect: true });
  await expect(readAll(needed)).rejects.toThrow(/900 columns of accounts is longer than a URL/);
});

test('tracks changes: initial read, delta link before value, tombstones', async () => {
  const delta = '/api/data/v9.2/accounts?$select=name&$deltatoken=919042%2108%2f22%2f2017%2008%3a10%3a44';
  const gone = '2E451703-C53A-4B0C-BD5B-6B1B0E1B1B1B';
  await using server = await startServer((request, response) => {
    const tracked = request.url === delta;
    expect(request.headers['prefer']?.includes('odata.track-changes')).toBe(!tracked);
    const value = tracked
      ? [
          { accountid: 'a' },
          {
            '@odata.context': `${server.url}/api/data/v9.2/$metadata#accounts/$deletedEntity`,
            id: gone,
            reason: 'deleted',
          },
        ]
      : [{ accountid: 'a' }];
    sendJson(response, { '@odata.context': 'x', '@odata.deltaLink': server.url + delta, value });
  });
  const client = clientFor(server);
  const [first] = await readAll(
    client.readPages({ entitySet: 'accounts', select: ['name'], trackChanges: true }),
  );
  expect(first!.deltaLink).toBe(server.url + delta);
  const [second] = await readAll(
    client.readPages({ entitySet: 'accounts', link: first!.deltaLink!, trackChanges: true }),
  );
  expect(server.requests[1]!.url).toBe(delta);
  const records = parseRows(second!).map((row) => Buffer.from(JSON.stringify(row)));
  expect(records.map(parseTombstone)).toEqual([undefined, { id: gone.toLowerCase() }]);
});

test.each([
  [
    400,
    '0x80044352',
    'Version stamp associated with the client has expired. Please perform a full sync.',
    'expired',
  ],
  [400, '0x80072491', "Entity account isn't enabled for change tracking.", 'not-enabled'],
  [400, '0x80072492', 'Changes cannot be retrieved for intersect entity', 'not-enabled'],
  [
    400,
    '0x80060888',
    `The "$filter" query parameter isn't supported when Change Tracking is enabled.`,
    'refused',
  ],
  [403, '0x80040220', 'Principal user is missing prvReadAccount privilege', 'refused'],
])('states why change tracking failed: %i %s', async (status, code, message, reason) => {
  await using server = await startServer((_, response) => sendError(response, status, code, message));
  const read = readAll(clientFor(server).readPages({ entitySet: 'accounts', trackChanges: true }));
  await expect(read).rejects.toMatchObject({ name: 'ChangeTrackingError', reason, fault: { status, code } });
});

test('reads by id in batches under the URL limit, and halves a rejected batch', async () => {
  const ids = Array.from(
    { length: 2000 },
    (_, i) => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
  );
  let refusals = 1;
  await using server = await startServer((request, response) => {
    expect(server.url.length + request.url!.length).toBeLessThanOrEqual(32_768);
    if (refusals-- > 0)
      return sendError(response, 400, '0x8004430C', 'Number of conditions in query exceeded maximum limit.');
    const filter = new URL(request.url!, server.url).searchParams.get('$filter')!;
    const asked = JSON.parse(/PropertyValues=(\[.*\])\)$/.exec(filter)![1]!) as string[];
    sendJson(response, { value: asked.map((accountid) => ({ accountid })) });
  });
  const query = { entitySet: 'accounts', primaryKey: 'accountid', ids: [...ids, ids[0]!], select: ['name'] };
  const pages = await readAll(clientFor(server).readByIds(query));
  expect(pages.flatMap(parseRows).map((row) => row['accountid'])).toEqual(ids);
  expect(server.requests.length).toBe(1 + 6);
});

test('reads rows one by one where every filter is rejected, with exact numbers and without absent rows', async () => {
  const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  let open = 0;
  let most = 0;
  await using server = await startServer(async (request, response) => {
    if (request.url!.includes('filter')) return sendError(response, 501, '0x80040224', 'Not implemented.');
    most = Math.max(most, ++open);
    await delay(5);
    open -= 1;
    const asked = /accounts\((.*)\)\?\$select=versionnumber/.exec(request.url!)![1]!;
    if (asked === id(3)) return sendError(response, 404, '0x80048d19', 'No such row in the other system.');
    sendJson(
      response,
      `{"@odata.context":"${server.url}/$metadata#accounts/$entity","@odata.etag":"W/\\"1\\"","accountid":"${asked}","versionnumber":9007199254740993}`,
    );
  });
  const ids = Array.from({ length: 60 }, (_, n) => id(n));
  const query = { entitySet: 'accounts', primaryKey: 'accountid', ids, select: ['versionnumber'] };
  const pages = await readAll(clientFor(server).readByIds(query));
  const bodies = pages.map(({ body, recordsStart, recordsEnd }) =>
    body.toString('utf8', recordsStart, recordsEnd),
  );
  expect(bodies.join().match(/9007199254740993/g)).toHaveLength(59);
  expect(bodies.join()).not.toContain('context');
  expect(
    pages
      .flatMap(parseRows)
      .map((row) => row['accountid'])
      .toSorted(),
  ).toEqual(ids.filter((one) => one !== id(3)));
  expect(pages[0]!.refused).toEqual(['in', 'filter']);
  expect(most).toBeLessThanOrEqual(8);
});

test('reads a broken page again, and throws an error without content if it stays broken', async () => {
  await using server = await startServer((_, response, number) => {
    if (number === 1)
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-length': 500 })
        .write('{"value":[{"name":"Secret Ltd"', () => response.socket!.destroy());
    else if (number === 2) sendJson(response, '{"value":[{"name":"Secret Ltd"}');
    else if (number === 3) {
      response
        .writeHead(200, { 'content-encoding': 'gzip' })
        .end(gzipSync(JSON.stringify({ value: [] })).subarray(0, 20));
    } else if (number === 4) response.socket!.destroy();
    else if (number === 5) sendJson(response, { value: [{ name: 'Secret Ltd' }] });
    else sendJson(response, '<html>Secret Ltd</html>', 200, { 'content-type': 'text/html' });
  });
  const client = clientFor(server, { retry: { baseDelaySeconds: 0.001 } });
  expect((await readAll(client.readPages({ entitySet: 'accounts' }))).flatMap(parseRows)).toEqual([
    { name: 'Secret Ltd' },
  ]);
  expect(client.stats).toMatchObject({ requests: 5, retries: 4 });
  const error = await readAll(client.readPages({ entitySet: 'accounts' })).catch((caught) => caught);
  expect(error).toMatchObject({
    name: 'UnexpectedResponseError',
    fault: { clientRequestId: expect.any(String), correlationId: expect.any(String) },
    hint: expect.stringContaining('web page'),
  });
  expect(JSON.stringify(error) + error.message).not.toContain('Secret');
});

test('stops reading ahead when the caller stops', async () => {
  await using server = await startServer(async (_, response, number) => {
    if (number === 1)
      sendJson(response, {
        value: [],
        '@odata.nextLink': `${server.url}/api/data/v9.2/accounts?$skiptoken=2`,
      });
    // The second response never arrives.
  });
  for await (const _page of clientFor(server).readPages({ entitySet: 'accounts' })) break;
  expect(server.requests.length).toBeLessThanOrEqual(2);
});
