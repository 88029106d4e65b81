import { expect, test } from 'vitest';
import { clientFor, sendError, sendJson, startServer } from './http-server.ts';

interface Target {
  n: number;
  '@odata.type': string;
}

const rows = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    n,
    thingid: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
  }));

test('cuts to a thousand and finds the bad rows among their neighbours', async () => {
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
  expect(result.refused.map(({ index }) => index)).toEqual([...bad]);
  expect(result.refused[0]!.error).toMatchObject({ name: 'DataverseError', fault: { code: '0x80044331' } });
});

test('halves after a timeout of the database instead of trying the same again', async () => {
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
  expect(result).toMatchObject({ written: 400, refused: [] });
  expect(client.stats).toMatchObject({ requests: 7, retries: 0 });
});

test('CreateMultiple gives ids in order, and is repeated only with ids of our own', async () => {
  await using server = await startServer((request, response, number) => {
    const targets = (JSON.parse(request.body) as { Targets: Target[] }).Targets;
    if (number === 1) sendJson(response, { Ids: targets.map(({ n }) => `ID-${n}`) });
    else if (number === 2 || number === 3) response.socket!.destroy();
    else sendError(response, 412, '0x80040237', 'A record with matching key values already exists.');
  });
  const client = clientFor(server);
  const write = {
    message: 'CreateMultiple',
    entitySet: 'new_things',
    logicalName: 'new_thing',
    rows: rows(3),
  } as const;
  expect((await client.writeBulk(write)).ids).toEqual(['id-0', 'id-1', 'id-2']);
  await expect(client.writeBulk(write)).rejects.toMatchObject({ name: 'DataverseRetriableError' });
  expect(server.requests).toHaveLength(2);
  const own = await client.writeBulk({ ...write, idColumn: 'thingid' });
  expect(own).toMatchObject({ written: 3, refused: [], ids: rows(3).map(({ thingid }) => thingid) });
});

test('a missing privilege is nobody row fault', async () => {
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
