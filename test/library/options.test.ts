import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  AuthenticationError,
  createCredential,
  type Dataverse,
  PermissionError,
  ThrottlingError,
  TransientError,
  UsageError,
} from '../../src/library/dataverse.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { sendError, startServer } from '../dataverse/http-server.ts';
import { connect } from './sample.ts';

let sample: SampleDataverse;
let dataverse: Dataverse;
const account = { logicalName: 'account', entitySet: 'accounts', primaryId: 'accountid' };
const id = '00000000-0000-4000-8000-000000000001';

beforeAll(async () => {
  sample = await startSampleDataverse({ rows: 300 });
  dataverse = connect(sample);
});

afterEach(() => {
  sample.faults.clear();
  sample.store.deniedPrivileges.clear();
});
afterAll(() => sample.stop());

test('sends the headers of options with every request of a call, those of the call before those of the client', async () => {
  await using server = await startServer((_, response) => response.writeHead(204).end());
  const client = connect(server, { callerObjectId: 'one', headers: { 'x-a': 'client', 'x-b': 'client' } });
  const accounts = client.with({ bypassBusinessLogic: ['CustomSync', 'CustomAsync'] }).table(account);
  await accounts.update(id, {}, { callerObjectId: 'two', suppressFlows: true, headers: { 'x-b': 'call' } });
  await accounts.delete(id, { bypassCustomPlugins: true, bypassStepIds: ['s1', 's2'], solution: 'Sales' });
  const [update, remove] = server.requests.map(({ headers }) => headers);
  expect(update).toMatchObject({
    callerobjectid: 'two',
    'mscrm.bypassbusinesslogicexecution': 'CustomSync,CustomAsync',
    'mscrm.suppresscallbackregistrationexpanderjob': 'true',
    'x-a': 'client',
    'x-b': 'call',
    'if-match': '*',
  });
  expect(remove).toMatchObject({
    callerobjectid: 'one',
    'mscrm.bypasscustompluginexecution': 'true',
    'mscrm.bypassbusinesslogicexecutionstepids': 's1,s2',
    'mscrm.solutionuniquename': 'Sales',
  });
  expect(remove).not.toHaveProperty('if-match');
  for (const [name, value] of [
    ['x-a', 'a\r\nx-b: c'],
    ['x a', 'b'],
    ['x-a', 'ü'],
  ] as const) {
    const headers = { [name]: value };
    await expect(accounts.delete(id, { headers })).rejects.toThrow(UsageError);
    await expect(client.batch([accounts.prepare.delete(id)], { headers })).rejects.toThrow(UsageError);
  }
  expect(server.requests).toHaveLength(2);
});

test('impersonates users by the ids of Entra and of Dataverse', async () => {
  const [own, other] = [...sample.store.truth('systemuser').entries()];
  expect(await dataverse.whoAmI()).toMatchObject({ userId: own![0] });
  expect(await dataverse.whoAmI({ callerId: other![0] })).toMatchObject({ userId: other![0] });
  const callerObjectId = String(other![1]['azureactivedirectoryobjectid']);
  const created = await dataverse.with({ callerObjectId }).table(account).create({ name: 'for another' });
  expect(sample.store.truth('account').get(created)).toMatchObject({ _createdby_value: { id: other![0] } });
  sample.store.deniedPrivileges.add('prvActOnBehalfOfAnotherUser');
  const error = await dataverse.whoAmI({ callerObjectId }).catch((caught) => caught);
  expect(error).toBeInstanceOf(PermissionError);
  expect(error.hint).toContain('prvActOnBehalfOfAnotherUser');
});

test('ends every kind of call with the reason of its signal', async () => {
  sample.faults.add({ kind: 'timeout', delayMs: 600_000, times: 100 });
  const accounts = dataverse.table(account);
  const aborted = async (call: (signal: AbortSignal) => Promise<unknown>) => {
    const controller = new AbortController();
    const pending = call(controller.signal);
    const sent = sample.stats.requests;
    controller.abort(new Error('changed my mind'));
    await expect(pending).rejects.toThrow('changed my mind');
    expect(sample.stats.requests).toBe(sent);
  };
  await aborted((signal) => accounts.create({ name: 'x' }, { signal }));
  await aborted((signal) => accounts.retrieve(id, { signal }));
  // While the names of the table are read, too.
  await aborted((signal) => dataverse.table('contact').retrieve(id, { signal }));
  await aborted((signal) => accounts.createMany([{ name: 'x' }], { signal }));
  await aborted((signal) => accounts.deleteMany([id], { signal }));
  await aborted((signal) => accounts.query().with({ signal }).toArray());
  await aborted((signal) => accounts.query().with({ signal }).count());
  await aborted((signal) =>
    accounts.fetchXml('<fetch><entity name="account"/></fetch>', { signal }).toArray(),
  );
  await aborted(async (signal) => {
    for await (const _ of accounts.changes({ signal })) break;
  });
  await aborted((signal) => accounts.file(id, 'entityimage').bytes({ signal }));
  await aborted((signal) => accounts.associate(id, 'x', { toString: () => 'y' } as never, { signal }));
  await aborted((signal) => dataverse.batch([accounts.prepare.delete(id)], { signal }));
  await aborted((signal) => dataverse.callAction('X', {}, { signal }));
  await aborted((signal) => dataverse.metadata.readTable('account', { signal }));
});

test('ends calls that wait for a response', async () => {
  let controller = new AbortController();
  // It never responds.
  await using server = await startServer(() => controller.abort(new Error('changed my mind')));
  const accounts = connect(server).table(account);
  const aborted = async (call: (signal: AbortSignal) => Promise<unknown>) => {
    controller = new AbortController();
    const before = server.requests.length;
    await expect(call(controller.signal)).rejects.toThrow('changed my mind');
    expect(server.requests.length).toBe(before + 1);
  };
  await aborted((signal) => accounts.retrieve(id, { signal }));
  await aborted((signal) => accounts.create({ name: 'x' }, { signal }));
  await aborted((signal) => accounts.createMany([{ name: 'x' }], { signal }));
  await aborted((signal) => accounts.deleteMany([id], { signal }));
  await aborted((signal) => accounts.query().with({ signal }).toArray());
  await aborted((signal) => connect(server).table('account').retrieve(id, { signal }));
});

test('gives up an attempt after its seconds, and retries a read', async () => {
  sample.faults.add({ kind: 'timeout', delayMs: 600_000, times: 1 });
  const before = dataverse.stats.retries;
  await dataverse.table(account).query().top(1).with({ timeoutSeconds: 0.2 }).toArray();
  expect(dataverse.stats.retries).toBe(before + 1);
  sample.faults.add({ kind: 'timeout', delayMs: 600_000, times: 1 });
  const error = await dataverse
    .table(account)
    .create({ name: 'x' }, { timeoutSeconds: 0.2 })
    .catch((caught) => caught);
  expect(error).toBeInstanceOf(TransientError);
  expect(error).toMatchObject({ code: 'TIMEOUT', maybeExecuted: true, isTransient: true });
});

test('waits for Retry-After, and names it where it is too long', async () => {
  sample.faults.add({ kind: '429', retryAfter: 0, times: 2 });
  await dataverse.table(account).create({ name: 'after two' });
  // Of a server of its own: the pause applies to all requests to one.
  await using busy = await startServer((_, response) =>
    sendError(response, 429, '0x80072322', 'Number of requests exceeded the limit', { 'retry-after': '3' }),
  );
  const error = await connect(busy, { retry: { maxPauseSeconds: 1 } })
    .table(account)
    .create({ name: 'x' })
    .catch((caught) => caught);
  expect(error).toBeInstanceOf(ThrottlingError);
  expect(error).toMatchObject({ status: 429, retryAfterSeconds: 3, maybeExecuted: false });
});

test.each([
  ['0x80040237', 'A record with matching key values already exists.', 'DuplicateError'],
  ['', 'A record with matching key values already exists.', 'DuplicateError'],
  ['0x80040333', 'A duplicate of the current record already exists.', 'DuplicateError'],
  ['0x80060882', "The version of the existing record doesn't match.", 'ConcurrencyError'],
  ['', 'The condition is not met.', 'ConcurrencyError'],
])('tells the reasons of status 412 apart: %s %s', async (code, message, name) => {
  await using server = await startServer((_, response) => sendError(response, 412, code, message));
  await expect(connect(server).table(account).delete(id, { etag: 'W/"1"' })).rejects.toMatchObject({ name });
});

test('tells sign-in, privileges and wrong arguments apart', async () => {
  const own = await startSampleDataverse({ rows: 10, token: 'the-one-token-that-is-accepted' });
  const rejected = await connect(own, { credential: createCredential({ accessToken: 'some-other-token' }) })
    .whoAmI()
    .catch((caught) => caught);
  expect(rejected).toBeInstanceOf(AuthenticationError);
  expect(rejected.message + rejected.hint).not.toContain('some-other-token');
  await own.stop();
  sample.store.deniedPrivileges.add('prvReadaccount');
  const error = await dataverse
    .table(account)
    .query()
    .toArray()
    .catch((caught) => caught);
  expect(error).toBeInstanceOf(PermissionError);
  expect(error.hint).toContain('prvReadaccount');
  expect(() => createCredential({ clientSecret: 'a-secret-that-nobody-knows' })).toThrow(UsageError);
  await expect(dataverse.request({ path: 'https://evil.example/api' })).rejects.not.toThrow('evil-token');
});
