import { expect, test } from 'vitest';
import { anyOf } from '../../src/dataverse/any-signal.ts';
import { sendJson, startServer } from '../dataverse/http-server.ts';
import { connect } from './sample.ts';

const account = { logicalName: 'account', entitySet: 'accounts', primaryId: 'accountid' };

/** A server with two pages of five rows. */
async function serve() {
  const server = await startServer((request, response) => {
    const value = Array.from({ length: 5 }, (_, index) => ({ name: `row ${index}` }));
    const link = `${server.url}/api/data/v9.2/accounts?$skiptoken=2`;
    const more = request.url!.includes('skiptoken') ? {} : { '@odata.nextLink': link };
    const isLast = request.url!.includes('skiptoken');
    const token = isLast ? { '@odata.deltaLink': `${server.url}/api/data/v9.2/accounts?$deltatoken=1` } : {};
    sendJson(response, { value, ...more, ...token });
  });
  return server;
}

test('yields no row after its signal is aborted', async () => {
  await using server = await serve();
  const accounts = connect(server).table(account);
  for (const iterate of [
    (signal: AbortSignal) => accounts.query().with({ signal }),
    (signal: AbortSignal) => accounts.changes({ signal }),
    (signal: AbortSignal) => accounts.fetchXml('<fetch><entity name="account"/></fetch>', { signal }),
  ]) {
    const controller = new AbortController();
    let rows = 0;
    const read = async () => {
      for await (const _ of iterate(controller.signal)) {
        rows += 1;
        if (rows === 2) controller.abort(new Error('stop'));
      }
    };
    await expect(read()).rejects.toThrow('stop');
    expect(rows).toBe(2);
  }
});

test('yields no page after its signal is aborted, also if it was read ahead', async () => {
  await using server = await serve();
  const controller = new AbortController();
  let pages = 0;
  const query = connect(server).table(account).query().with({ signal: controller.signal });
  const read = async () => {
    for await (const _ of query.pages()) {
      pages += 1;
      while (server.requests.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
      controller.abort(new Error('stop'));
    }
  };
  await expect(read()).rejects.toThrow('stop');
  expect(pages).toBe(1);
});

test('ends a call with the signal of the client, beside its own', async () => {
  await using server = await startServer(() => undefined);
  const [all, one] = [new AbortController(), new AbortController()];
  const accounts = connect(server).with({ signal: all.signal }).table(account);
  const first = accounts.create({ name: 'x' }, { signal: one.signal });
  one.abort(new Error('one'));
  await expect(first).rejects.toThrow('one');
  all.abort(new Error('all'));
  const own = new AbortController();
  await expect(accounts.create({ name: 'x' }, { signal: own.signal })).rejects.toThrow('all');
  const query = accounts.query().with({ signal: own.signal });
  await expect(query.toArray()).rejects.toThrow('all');
});

test('combines signals without AbortSignal.any', () => {
  const [a, b] = [new AbortController(), new AbortController()];
  const both = anyOf([a.signal, b.signal]);
  expect(both.aborted).toBe(false);
  b.abort('b');
  a.abort('a');
  expect(both.reason).toBe('b');
  expect(anyOf([a.signal, b.signal]).reason).toBe('a');
});

test('keeps the headers of both calls of with', async () => {
  await using server = await serve();
  const query = connect(server).table(account).query();
  await query
    .with({ headers: { 'x-a': '1' } })
    .with({ headers: { 'x-b': '2' } })
    .top(1)
    .toArray();
  expect(server.requests[0]!.headers).toMatchObject({ 'x-a': '1', 'x-b': '2' });
});
