import { expect, test } from 'vitest';
import { DataverseError } from '../../src/library/dataverse.ts';
import { sendJson, startServer } from '../dataverse/http-server.ts';
import { connect } from './sample.ts';

const account = { logicalName: 'account', entitySet: 'accounts', primaryId: 'accountid' };
const id = '00000000-0000-4000-8000-000000000001';

/** A server whose collections come in parts of one row, also within another collection. */
async function serve() {
  const server = await startServer((request, response) => {
    const root = `${server.url}/api/data/v9.2`;
    const task = (subject: string) => ({
      subject,
      Task_Notes: [{ text: `${subject}, note 1` }],
      'Task_Notes@odata.nextLink': `${root}/tasks(${id})/Task_Notes?of=${subject}`,
    });
    const row = {
      name: 'Contoso',
      Account_Tasks: [task('one')],
      'Account_Tasks@odata.nextLink': `${root}/accounts(${id})/Account_Tasks?$skiptoken=2`,
    };
    const url = new URL(request.url!, server.url);
    if (/\/Account_Tasks$/.test(url.pathname)) return sendJson(response, { value: [task('two')] });
    if (/\/Task_Notes$/.test(url.pathname)) {
      return sendJson(response, { value: [{ text: `${url.searchParams.get('of')}, note 2` }] });
    }
    if (request.method === 'POST') {
      response.setHeader('content-type', 'multipart/mixed; boundary=b');
      const part = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n${JSON.stringify(row)}`;
      return response.end(`--b\r\nContent-Type: application/http\r\n\r\n${part}\r\n--b--\r\n`);
    }
    return sendJson(response, url.pathname.endsWith(')') ? row : { value: [row] });
  });
  return server;
}

const note = (text: string) => ({ text });
const complete = {
  name: 'Contoso',
  Account_Tasks: [
    { subject: 'one', Task_Notes: [note('one, note 1'), note('one, note 2')] },
    { subject: 'two', Task_Notes: [note('two, note 1'), note('two, note 2')] },
  ],
};

test('reads expanded collections to their end', async () => {
  await using server = await serve();
  const accounts = connect(server).table(account);
  const query = accounts.query().pageSize(1);
  const rows = await query.expand('Account_Tasks', (tasks) => tasks.expand('Task_Notes')).toArray();
  expect(rows).toEqual([complete]);
  // Like the first page, so that the parts have the same size.
  expect(server.requests.map(({ headers }) => headers['prefer'])).toEqual(
    Array(4).fill('odata.maxpagesize=1'),
  );
  const expand = {
    Account_Tasks: (tasks: never) => (tasks as { expand: (name: string) => never }).expand('Task_Notes'),
  };
  expect(await accounts.retrieve(id, { expand: expand as never })).toEqual(complete);
});

test('ends a collection at its top', async () => {
  await using server = await serve();
  const query = connect(server).table(account).query();
  const [row] = await query.expand('Account_Tasks', (tasks) => tasks.top(1)).toArray();
  expect(row).toMatchObject({ Account_Tasks: [{ subject: 'one' }] });
  expect(server.requests).toHaveLength(1);
});

test('rejects in a batch what it cannot read to its end', async () => {
  await using server = await serve();
  const dataverse = connect(server);
  const retrieve = dataverse.table(account).prepare.retrieve(id, { expand: { Account_Tasks: true } });
  const [outcome] = await dataverse.batch([retrieve]);
  expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(DataverseError) });
});

test('does not follow links to another server', async () => {
  await using server = await startServer((_, response) =>
    sendJson(response, {
      value: [{ Account_Tasks: [], 'Account_Tasks@odata.nextLink': 'https://evil.example/api' }],
    }),
  );
  const query = connect(server).table(account).query().expand('Account_Tasks');
  await expect(query.toArray()).rejects.toThrow('leads to https://evil.example');
});
