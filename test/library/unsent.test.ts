import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { DataverseError, ThrottlingError, TransientError, UsageError } from '../../src/library/dataverse.ts';
import { sendError, sendJson, startServer } from '../dataverse/http-server.ts';
import { connect } from './sample.ts';

const account = { logicalName: 'account', entitySet: 'accounts', primaryId: 'accountid' };
const id = '00000000-0000-4000-8000-000000000001';
const caught = (call: Promise<unknown>) => call.then(() => undefined).catch((error) => error);

test('says that a request was not sent which another one made wait', async () => {
  await using server = await startServer((_, response) =>
    sendError(response, 429, '0x80072322', 'Number of requests exceeded the limit', { 'retry-after': '120' }),
  );
  const accounts = connect(server).table(account);
  await expect(accounts.create({ name: 'a' })).rejects.toThrow(ThrottlingError);
  const second = await caught(accounts.create({ name: 'b' }));
  expect(second).toBeInstanceOf(ThrottlingError);
  expect(second).toMatchObject({ maybeExecuted: false, isTransient: true });
  expect(second.retryAfterSeconds).toBeGreaterThan(60);
  const many = await accounts.createMany([{ name: 'c' }]);
  expect(many.outcomes[0]).toMatchObject({ reason: { name: 'ThrottlingError', maybeExecuted: false } });
  expect(server.requests).toHaveLength(1);
});

test('says that a request was not sent for which no token arrived', async () => {
  await using server = await startServer((_, response) => sendJson(response, {}));
  const credential = { getToken: () => new Promise<never>(() => {}) };
  const retry = { maxTries: 2, baseDelaySeconds: 0.001 };
  const accounts = connect(server, { credential, retry }).table(account);
  const error = await caught(accounts.create({ name: 'x' }, { timeoutSeconds: 0.05 }));
  expect(error).toBeInstanceOf(TransientError);
  expect(error).toMatchObject({ maybeExecuted: false, isTransient: true });
  expect(error.message).toContain('no token within 0.05 seconds');
  expect(server.requests).toHaveLength(0);
});

test('retries while the token service is busy', async () => {
  await using server = await startServer((_, response) => {
    response.setHeader('odata-entityid', `${server.url}/api/data/v9.2/accounts(${id})`);
    response.writeHead(204).end();
  });
  let tries = 0;
  const busy = (until: number) => ({
    getToken: async () => {
      tries += 1;
      if (tries < until) throw Object.assign(new Error('busy'), { statusCode: 503 });
      return { token: 'token-of-the-library-tests', expiresOnTimestamp: Date.now() + 3_600_000 };
    },
  });
  expect(
    await connect(server, { credential: busy(3) })
      .table(account)
      .create({ name: 'x' }),
  ).toBe(id);
  tries = 0;
  const error = await caught(
    connect(server, { credential: busy(1000) })
      .table(account)
      .create({ name: 'x' }),
  );
  expect(error).toBeInstanceOf(TransientError);
  expect(error).toMatchObject({ maybeExecuted: false, isTransient: true });
  expect(tries).toBe(3);
});

test.each([[Number.POSITIVE_INFINITY], [2 ** 31]])(
  'takes a time limit of %s seconds',
  async (timeoutSeconds) => {
    await using server = await startServer(async (_, response) => {
      await sleep(20);
      sendJson(response, { value: [] });
    });
    const query = connect(server, { retry: { maxTries: 1 } })
      .table(account)
      .query();
    expect(await query.with({ timeoutSeconds }).toArray()).toEqual([]);
  },
);

test('refuses what no header can have, and time limits that are none, before it sends something', async () => {
  await using server = await startServer((_, response) => sendJson(response, { value: [] }));
  const dataverse = connect(server);
  const accounts = dataverse.table(account);
  const etag = 'W/"1"\n';
  for (const call of [
    () => accounts.create({}, { correlationId: '№ 5' }),
    () => accounts.query().with({ correlationId: 'a\nb' }).toArray(),
    () => accounts.query().with({ timeoutSeconds: 0 }).toArray(),
    () => accounts.query().with({ timeoutSeconds: Number.NaN }).toArray(),
    () => accounts.delete(id, { etag }),
    () => accounts.update(id, {}, { etag }),
    () => accounts.upsert(id, {}, { etag }),
    () => dataverse.batch([accounts.prepare.delete(id, { etag })]),
    () => dataverse.batch([accounts.prepare.update(id, {}, { etag })]),
    () => dataverse.batch([accounts.prepare.upsert(id, {}, { etag })]),
  ]) {
    await expect(call()).rejects.toThrow(UsageError);
  }
  expect(server.requests).toHaveLength(0);
});

test('rejects with an error of its own for names that are not valid', async () => {
  await using server = await startServer((_, response) => sendJson(response, {}));
  const { metadata } = connect(server);
  const name = "bad name'";
  for (const call of [
    () => metadata.readTable(name),
    () => metadata.readColumn('account', name),
    () => metadata.readChoice(name),
    () => metadata.createColumn(name, { type: 'text', schemaName: 'new_X', displayName: 'X' }),
    () => metadata.updateTable(name, {}),
    () => metadata.updateColumn('account', name, {}),
    () => metadata.deleteTable(name),
    () => metadata.deleteColumn(name, name),
    () => metadata.createKey(name, { schemaName: 'new_X', displayName: 'X', columns: [] }),
    () => metadata.readKeyStatus(name, name),
    () => metadata.deleteKey(name, name),
    () => metadata.deleteRelationship(name),
    () => metadata.deleteChoice(name),
  ]) {
    // A call that throws at once ends the test.
    await expect(call()).rejects.toThrow(UsageError);
    await expect(call()).rejects.toThrow(DataverseError);
  }
  expect(server.requests).toHaveLength(0);
});
