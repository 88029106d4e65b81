import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clientFor } from '../http-server.ts';

const pages = 5;

/** A server in a thread of its own, which counts requests while this thread is busy. */
const code = `
const { parentPort, workerData } = require('node:worker_threads');
const counter = new Int32Array(workerData.counter);
const server = require('node:http').createServer((request, response) => {
  Atomics.add(counter, 0, 1);
  const page = Number(/skiptoken=(\\d+)/.exec(request.url)?.[1] ?? 1);
  const next = 'http://' + request.headers.host + '/api/data/v9.2/accounts?$skiptoken=' + (page + 1);
  response.writeHead(200, { 'content-type': 'application/json', 'odata-version': '4.0' });
  response.end(JSON.stringify({ value: [{ page }], ...(page < workerData.pages && { '@odata.nextLink': next }) }));
});
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

const counter = new Int32Array(new SharedArrayBuffer(4));
let worker: Worker;
let url: string;

beforeAll(async () => {
  worker = new Worker(code, { eval: true, workerData: { counter: counter.buffer, pages } });
  const [port] = await once(worker, 'message');
  url = `http://127.0.0.1:${port}`;
});
afterAll(() => worker.terminate());

/** Keeps this thread busy until so many requests have arrived, for a second at most. */
function isBusyUntil(requests: number): boolean {
  const began = performance.now();
  while (performance.now() - began < 1000) if (Atomics.load(counter, 0) >= requests) return true;
  return false;
}

test('the next page is requested before a caller that never waits has processed this one', async () => {
  Atomics.store(counter, 0, 0);
  const seen: boolean[] = [];
  for await (const page of clientFor({ url }).readPages({ entitySet: 'accounts' })) {
    if (page.nextLink !== undefined) seen.push(isBusyUntil(seen.length + 2));
  }
  expect(seen).toEqual([true, true, true, true]);
  expect(Atomics.load(counter, 0)).toBe(pages);
});

test('no page is requested ahead that the caller does not want', async () => {
  Atomics.store(counter, 0, 0);
  let left = 3;
  for await (const _ of clientFor({ url }).readPages({ entitySet: 'accounts', readAhead: () => left > 1 })) {
    left -= 1;
    if (left === 0) break;
  }
  expect(Atomics.load(counter, 0)).toBe(3);
});
