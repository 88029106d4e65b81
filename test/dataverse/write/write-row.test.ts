import { expect, test } from 'vitest';
import { exactNumber } from '../../../src/dataverse/write/exact-number.ts';
import { clientFor, sendError, sendJson, startServer } from '../http-server.ts';

const id = '00000000-0000-4000-8000-000000000001';
const other = '00000000-0000-4000-8000-000000000002';

test('creates a row and reads a 204 with OData-EntityId or a 201 with the row', async () => {
  await using server = await startServer((request, response) => {
    if (request.headers['prefer']) sendJson(response, { accountid: id, name: 'A' }, 201);
    else response.writeHead(204, { 'OData-EntityId': `${server.url}/api/data/v9.2/accounts(${id})` }).end();
  });
  const client = clientFor(server);
  expect(await client.create('accounts', { name: 'A' })).toEqual({ id, created: true });
  const returned = await client.create('accounts', { name: 'A' }, { returning: ['name'] });
  expect(returned).toEqual({ created: true, row: { accountid: id, name: 'A' } });
  expect(server.requests[1]!.url).toBe('/api/data/v9.2/accounts?$select=name');
});

test('writes numbers exactly, digit by digit', async () => {
  await using server = await startServer((_, response) => response.writeHead(204).end());
  await clientFor(server).create('things', {
    a: exactNumber('12.34500'),
    b: 9007199254740993n,
    c: { d: exactNumber('0.10') },
  });
  expect(server.requests[0]!.body).toBe('{"a":12.34500,"b":9007199254740993,"c":{"d":0.10}}');
  expect(() => exactNumber('1,"evil":1')).toThrow(RangeError);
});

test('never retries a POST that the server may have executed', async () => {
  await using server = await startServer((_, response) => void response.socket!.destroy());
  await expect(clientFor(server).create('accounts', { name: 'A' })).rejects.toMatchObject({
    name: 'DataverseRetriableError',
  });
  expect(server.requests).toHaveLength(1);
});

test('sends a POST that must not be repeated on a new connection, and returns no cookies', async () => {
  const ports: (number | undefined)[] = [];
  const cookies: unknown[] = [];
  await using server = await startServer((request, response) => {
    ports.push(request.socket.remotePort);
    cookies.push(request.headers['cookie']);
    response.writeHead(204, { 'set-cookie': 'ARRAffinity=abc; path=/' }).end();
  });
  const client = clientFor(server);
  for (let i = 0; i < 3; i += 1) await client.create('accounts', { name: 'A' });
  for (let i = 0; i < 3; i += 1) await client.upsert('accounts', id, { name: 'A' });
  expect(new Set(ports).size).toBe(4);
  expect(cookies).toEqual(new Array(6).fill(undefined));
});

test.each([502, 503, 504])('retries a POST after 429, but not after %i from a gateway', async (status) => {
  await using server = await startServer((_, response, number) => {
    if (number === 1)
      sendError(response, 429, '0x80072322', 'Number of requests exceeded the limit', {
        'retry-after': '0',
      });
    else response.writeHead(status, { 'content-type': 'text/html' }).end('<html>busy</html>');
  });
  await expect(clientFor(server).create('accounts', { name: 'A' })).rejects.toMatchObject({
    fault: { status },
  });
  expect(server.requests).toHaveLength(2);
});

test('retries a POST whose row has an id, and accepts the row that an earlier attempt created', async () => {
  await using server = await startServer((_, response, number) => {
    if (number === 1) response.socket!.destroy();
    else sendError(response, 412, '0x80040237', 'A record with matching key values already exists.');
  });
  const client = clientFor(server);
  expect(await client.create('accounts', { accountid: id, name: 'A' }, { idColumn: 'accountid' })).toEqual({
    id,
    created: true,
  });
  expect(server.requests).toHaveLength(2);
  await expect(client.create('accounts', { accountid: id }, { idColumn: 'accountid' })).rejects.toMatchObject(
    {
      name: 'DataverseConflictError',
    },
  );
});

test('upserts by id and by alternate key, under conditions', async () => {
  await using server = await startServer((request, response) => {
    if (request.headers['if-none-match'] === '*')
      sendError(response, 412, '0x80040237', 'A record with matching key values already exists.');
    else if (request.headers['if-match'] === 'W/"1"')
      sendError(response, 412, '0x80060882', "The version of the existing record doesn't match");
    else if (request.headers['if-match'] === '*')
      sendError(response, 404, '0x80040217', 'account Does Not Exist');
    else if (request.headers['prefer']) sendJson(response, { name: 'A' }, 201);
    else response.writeHead(204).end();
  });
  const client = clientFor(server);
  expect(await client.upsert('accounts', id, { name: 'A' })).toEqual({});
  expect((await client.upsert('accounts', id, { name: 'A' }, { returning: ['name'] })).created).toBe(true);
  await client.upsert('contacts', { emailaddress1: "o'b@x.io", _parentcustomerid_value: other, n: 2 }, {});
  expect(server.requests[2]!.url).toBe(
    `/api/data/v9.2/contacts(emailaddress1='o''b%40x.io',_parentcustomerid_value=${other},n=2)`,
  );
  await expect(client.upsert('accounts', id, {}, { mode: 'create' })).rejects.toMatchObject({
    name: 'DataverseConflictError',
  });
  await expect(client.upsert('accounts', id, {}, { etag: 'W/"1"' })).rejects.toMatchObject({
    name: 'DataverseConflictError',
  });
  await expect(client.update('accounts', id, {})).rejects.toMatchObject({
    name: 'DataverseError',
    fault: { status: 404 },
  });
  expect(await client.readRow('accounts', id).catch((error) => error.name)).toBe('UnexpectedResponseError');
});

test('deletes a row, returns whether it existed, and rejects invalid ids', async () => {
  await using server = await startServer((_, response, number) => {
    if (number === 1) response.writeHead(204).end();
    else if (number === 2) sendError(response, 404, '0x80040217', 'account Does Not Exist');
    else if (number === 3) response.socket!.destroy();
    else sendError(response, 404, '0x80040217', 'account Does Not Exist');
  });
  const client = clientFor(server);
  expect(await client.delete('accounts', id)).toBe(true);
  expect(await client.delete('accounts', id)).toBe(false);
  expect(await client.delete('accounts', id), 'deleted by the attempt whose response was lost').toBe(true);
  expect(() => client.delete('accounts', '1)/x')).toThrow('must be a GUID');
  expect(() => client.delete('accounts(1)?x', id)).toThrow('entity set name');
});
