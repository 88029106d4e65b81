import { expect, test } from 'vitest';
import { mergePrefer } from '../../src/dataverse/prefer.ts';
import { sendError, sendJson, startServer } from '../dataverse/http-server.ts';
import { connect } from './sample.ts';

const account = { logicalName: 'account', entitySet: 'accounts', primaryId: 'accountid' };

test.each([
  [undefined, 'a', 'a'],
  ['a', undefined, 'a'],
  ['odata.maxpagesize=5', 'odata.maxpagesize=9,return=minimal', 'odata.maxpagesize=5,return=minimal'],
  [
    'odata.include-annotations="a.b,c"',
    'x,odata.include-annotations="*"',
    'odata.include-annotations="a.b,c,*",x',
  ],
])('merges preferences: %s and %s', (own, given, merged) => {
  expect(mergePrefer(own, given)).toBe(merged);
});

test('sends the preferences of the caller beside those of a request', async () => {
  await using server = await startServer((_, response) => sendJson(response, { value: [], Ids: ['x'] }));
  const headers = { prefer: 'odata.include-annotations="*"' };
  const accounts = connect(server).table(account);
  await accounts.query().pageSize(7).with({ headers }).toArray();
  await accounts.createMany([{ name: 'x' }], { headers });
  expect(server.requests.map((request) => request.headers['prefer'])).toEqual([
    'odata.maxpagesize=7,odata.include-annotations="*"',
    'odata.include-annotations="Microsoft.PowerApps.CDS.ErrorDetails.*,*"',
  ]);
});

test('names no settings of the sync in hints', async () => {
  await using server = await startServer((_, response) =>
    sendError(response, 400, '0x80040800', "The 'RetrieveMultiple' method does not support this entity."),
  );
  const query = connect(server).table(account).query();
  await expect(query.toArray()).rejects.toMatchObject({
    hint: 'Dataverse does not allow reading the rows of accounts.',
  });
});
