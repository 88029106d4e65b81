import { expect, test } from 'vitest';
import { clientFor, sendError, sendJson, startServer } from '../http-server.ts';

const csdl = '\uFEFF<?xml version="1.0"?>\n<edmx:Edmx Version="4.0"><edmx:DataServices/></edmx:Edmx>\n';

test('reads the metadata document by etag, and without annotations if they are rejected', async () => {
  await using server = await startServer((request, response) => {
    if (request.url!.includes('annotations'))
      sendError(response, 400, '0x80060888', 'The query parameter annotations is not supported');
    else if (request.headers['if-none-match'] === 'W/"7"') response.writeHead(304).end();
    else response.writeHead(200, { 'content-type': 'application/xml', etag: 'W/"7"' }).end(csdl);
  });
  const client = clientFor(server);
  const read = await client.readMetadataDocument();
  expect(read).toEqual({ document: Buffer.from(csdl), etag: 'W/"7"' });
  expect(await client.readMetadataDocument({ etag: 'W/"7"' })).toBe('unchanged');
  expect(server.requests.map(({ url }) => url)).toEqual(
    [1, 2].flatMap(() => ['/api/data/v9.2/$metadata?annotations=true', '/api/data/v9.2/$metadata']),
  );
});

test('reads again a metadata document that is cut short or a web page', async () => {
  await using server = await startServer((_, response, number) => {
    response
      .writeHead(200, { 'content-type': 'application/xml' })
      .end(number === 1 ? csdl.slice(0, 60) : number === 2 ? '<html></html>' : csdl);
  });
  const client = clientFor(server);
  expect(await client.readMetadataDocument()).toEqual({ document: Buffer.from(csdl) });
  expect(client.stats.retries).toBe(2);
});

test('reads the metadata version together with one row', async () => {
  await using server = await startServer((request, response) => {
    expect(request.headers['prefer']).toContain('globalmetadataversion');
    sendJson(response, {
      '@Microsoft.Dynamics.CRM.globalmetadataversion': '6012567',
      value: [{ accountid: 'a' }],
    });
  });
  expect(await clientFor(server).readMetadataVersion('accounts', 'accountid')).toBe('6012567');
  expect(server.requests[0]!.url).toBe('/api/data/v9.2/accounts?$select=accountid&$top=1');
});

test.each([
  ['\uFEFF42', 42],
  ['5000', undefined],
  ['4999', 4999],
])('reads a count of %s as %s', async (text, count) => {
  await using server = await startServer((_, response) =>
    response.writeHead(200, { 'content-type': 'text/plain' }).end(text),
  );
  expect(await clientFor(server).count('accounts')).toBe(count);
});

test('returns undefined for a table that Dataverse does not count', async () => {
  await using server = await startServer((_, response) =>
    sendError(response, 400, '0x80060888', '$count is not supported'),
  );
  expect(await clientFor(server).count('accounts')).toBeUndefined();
});
