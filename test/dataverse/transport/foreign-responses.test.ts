import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { parseRows } from '../../../src/dataverse/client.ts';
import { clientFor, sendError, sendJson, startServer } from '../http-server.ts';

/** Responses that no request to Dataverse gets from Dataverse. */
const foreign: [what: string, send: (response: ServerResponse) => void, message: RegExp][] = [
  [
    'a web page',
    (response) => {
      response.removeHeader('OData-Version');
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Sign in, Secret Ltd</html>');
    },
    /status 200 and text\/html is not from Dataverse/,
  ],
  [
    'JSON of another service',
    (response) => {
      response.removeHeader('OData-Version');
      sendJson(response, { value: [] });
    },
    /not from Dataverse/,
  ],
  ['an object without rows', (response) => sendJson(response, {}), /no "value" array/],
  ['no content', (response) => response.writeHead(204).end(), /body is empty/],
  [
    'the rows of another table',
    (response) =>
      sendJson(response, {
        '@odata.context': 'https://x/api/data/v9.2/$metadata#contacts(fullname)',
        value: [{ contactid: 1 }],
      }),
    /belongs to another request: its rows are of contacts/,
  ],
  ['JSON that ends early', (response) => sendJson(response, '{"value":[{"name":"Secret Ltd"}'), /cut short/],
  [
    'headers that are too long',
    (response) => sendJson(response, { value: [] }, 200, { 'x-long': 'x'.repeat(40_000) }),
    /headers of the response are too long/,
  ],
  [
    'data that is not compressed as stated',
    (response) => sendJson(response, 'plain', 200, { 'content-encoding': 'gzip' }),
    /gzip data is corrupt/,
  ],
];

test.each(foreign)(
  'reads %s a few times, then fails with an error that the queue does not repeat',
  async (_, send, message) => {
    await using server = await startServer((_request, response) => send(response));
    const client = clientFor(server, { retry: { baseDelaySeconds: 0.001 } });
    const error = await client
      .readPages({ entitySet: 'accounts' })
      .next()
      .catch((caught) => caught);
    expect(error).toMatchObject({ name: 'UnexpectedResponseError', hint: expect.stringContaining('check') });
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('Secret');
    expect(server.requests).toHaveLength(5);
  },
);

test('reads the page if a retry brings it', async () => {
  await using server = await startServer((_, response, number) => {
    if (number <= foreign.length / 2) foreign[number]![1](response);
    else sendJson(response, { '@odata.context': 'x/$metadata#Accounts(name)/$delta', value: [{ a: 1 }] });
  });
  const client = clientFor(server, { retry: { baseDelaySeconds: 0.001 } });
  const { value } = await client.readPages({ entitySet: 'accounts' }).next();
  expect(parseRows(value!)).toEqual([{ a: 1 }]);
});

test('a write that a web page answers counts as not done', async () => {
  await using server = await startServer((_, response) => {
    response.removeHeader('OData-Version');
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>We are back soon</html>');
  });
  const client = clientFor(server, { retry: { baseDelaySeconds: 0.001, maxTries: 2 } });
  const id = '00000000-0000-0000-0000-000000000001';
  const write = { entitySet: 'accounts', logicalName: 'account', rows: [{ accountid: id }] };
  for (const attempt of [
    () => client.upsert('accounts', id, { name: 'A' }),
    () => client.writeBulk({ ...write, message: 'UpsertMultiple' }),
    () => client.delete('accounts', id),
    () => client.batch([{ method: 'PATCH', path: `accounts(${id})`, body: {} }]),
  ]) {
    await expect(attempt()).rejects.toMatchObject({
      name: 'UnreadableBodyError',
      fault: { transient: true },
    });
  }
});

test('repeats a read that fails with status 500 a few times, and a write never', async () => {
  await using server = await startServer((_, response) =>
    sendError(response, 500, '0x80040216', 'An unexpected error occurred.'),
  );
  const client = clientFor(server, { retry: { baseDelaySeconds: 0.001 } });
  const id = '00000000-0000-0000-0000-000000000001';
  await expect(client.readEntityDefinitions()).rejects.toMatchObject({ name: 'DataverseRetriableError' });
  expect(server.requests).toHaveLength(4);
  await expect(client.readMetadataDocument()).rejects.toMatchObject({ name: 'DataverseRetriableError' });
  expect(server.requests).toHaveLength(8);
  await expect(client.upsert('accounts', id, {})).rejects.toMatchObject({ name: 'DataverseRetriableError' });
  expect(server.requests).toHaveLength(9);
});
