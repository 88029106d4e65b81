import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FunctionsHost, startFunctionsHost } from '../../../src/local/functions-host/host.ts';

let host: FunctionsHost;

beforeAll(async () => {
  host = await startFunctionsHost({
    appRoot: resolve(import.meta.dirname, '../fixtures/stream-app'),
    settings: {},
    // The app has no queues, so nothing connects.
    connectionString: 'UseDevelopmentStorage=true',
  });
});

afterAll(() => host.stop());

test('bodies are streamed: each part arrives before the next is written', async () => {
  const parts = new TransformStream<Uint8Array, Uint8Array>();
  const writer = parts.writable.getWriter();
  const encoder = new TextEncoder();
  const init = { method: 'POST', body: parts.readable, duplex: 'half' } as RequestInit;
  const answer = fetch(`${host.url}/echo/you`, init);
  await writer.write(encoder.encode('first '));
  const response = await answer;
  expect([response.status, response.headers.get('x-name')]).toEqual([200, 'you']);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader.read()).value).toBe('first ');
  await writer.write(encoder.encode('second'));
  await writer.close();
  expect((await reader.read()).value).toBe('second');
  expect((await reader.read()).done).toBe(true);
});

test('a function that returns nothing gives 204', async () => {
  expect((await fetch(`${host.url}/nothing`)).status).toBe(204);
});
