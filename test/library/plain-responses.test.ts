import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Dataverse, DataverseError, reference, UsageError } from '../../src/library/dataverse.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { sendJson, startServer } from '../dataverse/http-server.ts';
import { connect } from './sample.ts';

let sample: SampleDataverse;
let dataverse: Dataverse;

beforeAll(async () => {
  sample = await startSampleDataverse({ rows: 100 });
  dataverse = connect(sample);
});

afterAll(() => sample.stop());

const account = { logicalName: 'account', entitySet: 'accounts', primaryId: 'accountid' };
const id = '00000000-0000-4000-8000-000000000001';

test('returns texts and bytes of other requests', async () => {
  const count = await dataverse.request({ path: 'accounts/$count', responseType: 'text' });
  expect(Number(count.replace(/^\uFEFF/, ''))).toBe(sample.store.count('account'));
  const metadata = await dataverse.request({ path: '$metadata', responseType: 'bytes' });
  expect(new TextDecoder().decode(metadata)).toContain('<edmx:Edmx');
});

test('says how to read a response that is not JSON, without a retry', async () => {
  const before = dataverse.stats.requests;
  const error = await dataverse.request({ path: 'accounts/$count' }).catch((caught) => caught);
  expect(error).toBeInstanceOf(DataverseError);
  expect(error.hint).toContain('responseType');
  expect(dataverse.stats.requests).toBe(before + 1);
});

test('refuses a filter that is longer than a URL can be', async () => {
  const ids = Array.from({ length: 2500 }, () => crypto.randomUUID());
  const query = dataverse.table(account).query();
  const before = dataverse.stats.requests;
  const error = await query
    .where((f) => f.in('accountid', ids))
    .toArray()
    .catch((caught) => caught);
  expect(error).toBeInstanceOf(UsageError);
  expect(error.message).toContain('Dataverse accepts 65536');
  expect(dataverse.stats.requests).toBe(before);
  const some = query.where((f) => f.in('accountid', ids.slice(0, 1000)));
  expect(await some.toArray()).toEqual([]);
});

test('finds the fetch element behind a comment', async () => {
  const top =
    '<!-- <fetch top="1"> --><fetch><entity name="account"><attribute name="name"/></entity></fetch>';
  const pages = [];
  const query = dataverse
    .table(account)
    .fetchXml(top, { pageSize: Math.ceil(sample.store.count('account') / 2) });
  for await (const page of query.pages()) pages.push(page.rows.length);
  expect(pages).toHaveLength(2);
  expect(() => dataverse.table(account).fetchXml('<!-- <fetch> --> <fetch')).not.toThrow();
  const none = dataverse.table(account).fetchXml('<!-- <fetch> <fetch>');
  await expect(none.toArray()).rejects.toThrow(UsageError);
});

test('does not return a part of an aggregate as the whole', async () => {
  await using server = await startServer((_, response) =>
    sendJson(response, { '@Microsoft.Dynamics.CRM.morerecords': true, value: [{ n: 1 }] }),
  );
  const accounts = connect(server).table(account);
  const xml = (attributes: string) => `<fetch aggregate="true"${attributes}><entity name="account"/></fetch>`;
  await expect(accounts.fetchXml(xml('')).toArray()).rejects.toThrow('more rows than one page');
  expect(await accounts.fetchXml(xml(' page="1" count="1"')).toArray()).toEqual([{ n: 1 }]);
});

test('sends lists of rows to functions and actions', async () => {
  await using server = await startServer((_, response) => response.writeHead(204).end());
  const client = connect(server);
  const rows = [reference('accounts', id), reference('contacts', id)];
  await client.callFunction('Fn', { Targets: rows, Names: ['a]b'] });
  await client.callAction('Act', { Targets: rows, Target: rows[0] });
  const [called, acted] = server.requests;
  const list = `[{"@odata.id":"accounts(${id})"},{"@odata.id":"contacts(${id})"}]`;
  expect(decodeURIComponent(called!.url)).toContain(`@p1=${list}&@p2=["a\\u005db"]`);
  expect(acted!.body).toBe(`{"Targets":${list},"Target":{"@odata.id":"accounts(${id})"}}`);
});
