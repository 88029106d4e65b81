import { expect, test } from 'vitest';
import { clientFor, sendError, startServer } from '../http-server.ts';

interface Target {
  n: number;
  '@odata.type': string;
}

const rows = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    n,
    thingid: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
  }));

test('splits into requests of a thousand rows and isolates invalid rows', async () => {
  const bad = new Set([7, 1500, 2499]);
  const kept = new Set<number>();
  await using server = await startServer((request, response) => {
    const targets = (JSON.parse(request.body) as { Targets: Target[] }).Targets;
    expect(targets.length).toBeLessThanOrEqual(1000);
    expect(targets[0]!['@odata.type']).toBe('Microsoft.Dynamics.CRM.new_thing');
    if (targets.some(({ n }) => bad.has(n)))
      return sendError(response, 400, '0x80044331', 'A validation error occurred.');
    for (const { n } of targets) {
      expect(kept.has(n)).toBe(false);
      kept.add(n);
    }
    response.writeHead(204).end();
  });
  const result = await clientFor(server).writeBulk({
    message: 'UpsertMultiple',
    entitySet: 'new_things',
    logicalName: 'new_thing',
    rows: rows(2500),
  });
  expect(result.written).toBe(2497);
  expect(kept.size).toBe(2497);
  expect(result.rejected.map(({ index }) => index)).toEqual([...bad]);
  expect(result.rejected[0]!.error).toMatchObject({ name: 'DataverseError', fault: { code: '0x80044331' } });
});

test('halves a request after a timeout of the database instead of retrying it', async () => {
  await using server = await startServer((request, response) => {
    const { length } = (JSON.parse(request.body) as { Targets: Target[] }).Targets;
    if (length > 100) sendError(response, 500, '0x80044151', 'SQL timeout expired.');
    else response.writeHead(204).end();
  });
  const client = clientFor(server);
  const result = await client.writeBulk({
    message: 'UpdateMultiple',
    entitySet: 'new_things',
    logicalName: 'new_thing',
    rows: rows(400),
  });
  expect(result).toMatchObject({ written: 400, rejected: [] });
  expect(client.stats).toMatchObject({ requests: 7, retries: 0 });
});

test('throws a missing privilege instead of reporting a row', async () => {
  await using server = await startServer((_, response) =>
    sendError(response, 403, '0x80040220', 'missing prvCreateThing privilege'),
  );
  const write = {
    message: 'UpsertMultiple',
    entitySet: 'new_things',
    logicalName: 'new_thing',
    rows: rows(3),
  } as const;
  await expect(clientFor(server).writeBulk(write)).rejects.toMatchObject({ name: 'DataverseSkipError' });
  expect(server.requests).toHaveLength(1);
});

test.each([405, 501])('writes rows one by one to a table without bulk messages (%d)', async (status) => {
  const written: string[] = [];
  await using server = await startServer((request, response) => {
    if (request.url!.includes('Multiple'))
      return sendError(response, status, '0x80040800', 'no such message');
    const { n, thingid } = JSON.parse(request.body) as { n: number; thingid?: string };
    if (n === 3) return sendError(response, 400, '0x80044331', 'A validation error occurred.');
    if (request.method === 'POST') {
      const id = thingid ?? `00000000-0000-4000-9000-${String(n).padStart(12, '0')}`;
      response.setHeader('OData-EntityId', `http://x/api/data/v9.2/new_things(${id})`);
    }
    written.push(
      [request.method, thingid, request.headers['if-match'], request.url!.split('new_things')[1]].join(),
    );
    response.writeHead(204).end();
  });
  const client = clientFor(server);
  const table = { entitySet: 'new_things', logicalName: 'new_thing', rows: rows(250), maxRows: 100 };
  const good = rows(250).filter(({ n }) => n !== 3);
  const withId = { ...table, idColumn: 'thingid' };

  const upserted = await client.writeBulk({ ...withId, message: 'UpsertMultiple' });
  expect(upserted).toMatchObject({
    written: 249,
    rejected: [{ index: 3, error: { name: 'DataverseError' } }],
  });
  expect(written.sort()).toEqual(good.map(({ thingid }) => `PATCH,,,(${thingid})`));
  expect(server.requests.filter(({ url }) => url!.includes('Multiple'))).toHaveLength(1);

  written.length = 0;
  expect(await client.writeBulk({ ...withId, message: 'UpdateMultiple' })).toMatchObject({ written: 249 });
  expect(written.sort()).toEqual(good.map(({ thingid }) => `PATCH,,*,(${thingid})`));

  // Rows without ids cannot be addressed.
  await expect(client.writeBulk({ ...table, message: 'UpsertMultiple' })).rejects.toMatchObject({
    fault: { status },
  });
});
