import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { QueueServiceClient } from '@azure/storage-queue';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type FunctionsHost,
  type LogEntry,
  startFunctionsHost,
} from '../../../src/local/functions-host/host.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';

interface Recorded {
  what: string;
  message?: { id: string };
  atWork?: number;
  metadata?: Record<string, unknown>;
  timer?: Record<string, unknown>;
  retry?: unknown;
}

const appRoot = resolve(import.meta.dirname, '../fixtures/app');
const shared = globalThis as unknown as { recorded?: Recorded[] };
const recorded = (what: string) => (shared.recorded ?? []).filter((entry) => entry.what === what);
const logs: LogEntry[] = [];
/** Of all tests. */
const timeouts: LogEntry[] = [];
let hanging: Promise<Response>;

let azurite: Azurite;
let host: FunctionsHost;
let queues: QueueServiceClient;

/** Waits until the condition is true, or until the test times out. */
async function until(condition: () => unknown): Promise<void> {
  while (!(await condition())) await delay(20);
}

async function isEmpty(queue: string): Promise<boolean> {
  const { approximateMessagesCount } = await queues.getQueueClient(queue).getProperties();
  return approximateMessagesCount === 0;
}

function enqueue(messages: unknown): Promise<Response> {
  return fetch(`${host.url}/api/enqueue`, { method: 'POST', body: JSON.stringify(messages) });
}

beforeAll(async () => {
  azurite = await startAzurite();
  queues = QueueServiceClient.fromConnectionString(azurite.connectionString);
  host = await startFunctionsHost({
    appRoot,
    settings: {
      WORK_QUEUE: 'fixture-work',
      TICK_SCHEDULE: '*/1 * * * * *',
      'AzureWebJobs.disabled.Disabled': 'true',
    },
    connectionString: azurite.connectionString,
    hiddenSeconds: 4,
    log: (entry) => {
      logs.push(entry);
      if (entry.message.includes('Timeout value')) timeouts.push(entry);
    },
  });
  hanging = fetch(`${host.url}/api/hang`);
});

afterAll(async () => {
  await host.stop({ limit: 100 });
  await azurite.stop();
});

beforeEach(() => {
  shared.recorded = [];
  logs.length = 0;
});

describe('the app', () => {
  test('is registered with all functions, and with settings in its bindings', () => {
    expect(host.functions).toContainEqual({ name: 'work', trigger: 'queueTrigger' });
    expect(host.functions).toContainEqual({ name: 'tick', trigger: 'timerTrigger' });
    expect(host.functions).toContainEqual({ name: 'greet', trigger: 'httpTrigger' });
  });

  test('does not have functions that a setting disables', async () => {
    expect(host.functions.map(({ name }) => name)).not.toContain('disabled');
    expect((await fetch(`${host.url}/api/disabled`)).status).toBe(404);
  });

  test('can be loaded once per process', async () => {
    const again = startFunctionsHost({ appRoot, settings: {}, connectionString: azurite.connectionString });
    await expect(again).rejects.toThrow('one app per process');
  });
});

describe('HTTP triggers', () => {
  test('pass on the request, and send status, headers, cookies and body', async () => {
    const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
    const response = await fetch(`${host.url}/api/greet/Zo%C3%AB%20%26?a=1&a=2&b=`, {
      method: 'POST',
      headers: { 'x-sent': 'one', traceparent },
      body: 'Grüße',
    });
    expect(response.status).toBe(201);
    expect(response.headers.get('x-fixture')).toBe('yes');
    expect(response.headers.getSetCookie()).toEqual([
      'fixture=a%20b; Max-Age=60; Path=/; HttpOnly; SameSite=lax',
    ]);
    expect(await response.json()).toEqual({
      url: `${host.url}/api/greet/Zo%C3%AB%20%26?a=1&a=2&b=`,
      method: 'POST',
      params: { name: 'Zoë &' },
      query: { a: '1,2', b: '' },
      header: 'one',
      body: 'Grüße',
      traceParent: traceparent,
    });
  });

  test('accept a route without its optional parameter, in any letter case', async () => {
    const response = await fetch(`${host.url}/API/Greet`);
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ params: {}, body: null, method: 'GET' });
  });

  test('respond 404 to an unknown route and to another method', async () => {
    for (const [path, method] of [
      ['/api/unknown', 'GET'],
      ['/greet', 'GET'],
      ['/api/greet', 'DELETE'],
      ['/api/greet', 'HEAD'],
      ['/api/secret/not-a-guid', 'GET'],
    ] as const) {
      const response = await fetch(`${host.url}${path}`, { method });
      expect([path, method, response.status]).toEqual([path, method, 404]);
    }
  });

  test('require the function key, in the query or a header', async () => {
    const id = 'f47ac10b-58cc-4372-a567-0e02b2c3d479';
    const address = `${host.url}/api/secret/${id}`;
    const status = async (url: string, headers: Record<string, string> = {}) =>
      (await fetch(url, { headers })).status;
    expect(await status(address)).toBe(401);
    expect(await status(`${address}?code=wrong`)).toBe(401);
    expect(await status(address, { 'x-functions-key': host.functionKey })).toBe(200);
    const response = await fetch(`${address}?code=${host.functionKey}`);
    expect(await response.json()).toEqual({ id });
    expect(await status(`${host.url}/api/operate?code=${host.functionKey}`)).toBe(401);
    expect(await status(`${host.url}/api/operate?code=${host.masterKey}`)).toBe(200);
  });

  test('prefer a literal route', async () => {
    const response = await fetch(`${host.url}/api/secret/latest?code=${host.functionKey}`);
    expect(await response.text()).toBe('latest');
  });

  test('respond 500 without details if the function throws, and 204 if it returns nothing', async () => {
    const failed = await fetch(`${host.url}/api/fail`);
    expect([failed.status, await failed.text()]).toEqual([500, '']);
    expect(logs.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
      expect.stringContaining('broken on purpose'),
    ]);
    const nothing = await fetch(`${host.url}/api/nothing`);
    expect([nothing.status, await nothing.text()]).toEqual([204, '']);
  });
});

describe('hooks and logs', () => {
  test('pre and post hooks change inputs and result', async () => {
    const response = await fetch(`${host.url}/api/hooked`);
    expect(await response.json()).toEqual({ before: { hooked: true }, from: 'pre' });
  });

  test('log hooks change messages, and host.json filters by category', async () => {
    await fetch(`${host.url}/api/greet/you`);
    expect(logs.filter(({ category }) => category.startsWith('Function.greet'))).toEqual([
      expect.objectContaining({
        level: 'debug',
        category: 'Function.greet.User',
        message: 'greeting *** you',
        invocationId: expect.any(String),
      }),
    ]);
  });

  test('listeners receive the start and end of invocations', async () => {
    const events: string[] = [];
    const off = host.onInvocation(({ functionName, state }) => events.push(`${functionName} ${state}`));
    await fetch(`${host.url}/api/fail`);
    off();
    await fetch(`${host.url}/api/fail`);
    expect(events.filter((event) => event.startsWith('fail'))).toEqual(['fail started', 'fail failed']);
  });
});

describe('queue triggers', () => {
  test('receive each element of an array as a message, with metadata, and write the return value', async () => {
    const results = queues.getQueueClient('fixture-results');
    // The host creates this queue with its first message, which it sends after the function has recorded itself.
    await results.createIfNotExists();
    expect((await enqueue([{ id: 'a' }, { id: 'b' }])).status).toBe(202);
    await until(() => recorded('work').length === 2);
    const first = recorded('work').find(({ message }) => message?.id === 'a');
    expect(first?.metadata).toMatchObject({
      dequeueCount: 1,
      id: expect.any(String),
      popReceipt: expect.any(String),
      insertionTime: expect.any(String),
      queueTrigger: { id: 'a' },
    });
    const done: string[] = [];
    await until(async () => {
      const { receivedMessageItems } = await results.receiveMessages({ numberOfMessages: 32 });
      for (const { messageText } of receivedMessageItems)
        done.push(Buffer.from(messageText, 'base64').toString());
      return done.length === 2;
    });
    expect(done.sort()).toEqual(['{"done":"a"}', '{"done":"b"}']);
    await until(() => isEmpty('fixture-work'));
  });

  test('run at most batchSize + newBatchThreshold functions at once', async () => {
    // While the long message runs, the host receives two more at a time, however slow the machine is.
    const short = Array.from({ length: 11 }, (_, id) => ({ id: String(id), milliseconds: (id * 53) % 100 }));
    await enqueue([{ id: 'long', milliseconds: 2000 }, ...short]);
    await until(async () => recorded('work').length === 12 && (await isEmpty('fixture-work')));
    expect(Math.max(...recorded('work').map(({ atWork }) => atWork!))).toBe(3);
  });

  test('keep a message hidden while its function runs longer than its hidden time', async () => {
    await enqueue([{ id: 'long', milliseconds: 5500 }]);
    await until(async () => recorded('work').length >= 1 && (await isEmpty('fixture-work')));
    expect(recorded('work')).toHaveLength(1);
  });

  test('retry after a failure, then move the message to the poison queue', async () => {
    await enqueue([{ id: 'bad', fail: true }]);
    await until(() => recorded('poison').length === 1);
    expect(recorded('work').map(({ metadata }) => metadata?.['dequeueCount'])).toEqual([1, 2]);
    expect(recorded('poison')[0]?.message).toEqual({ id: 'bad', fail: true });
    await until(() => isEmpty('fixture-work'));
  });

  test('move a message that is not base64 to the poison queue', async () => {
    const poison = queues.getQueueClient('fixture-work-poison');
    await queues.getQueueClient('fixture-work').sendMessage('not base64!');
    // The poison trigger cannot decode it either.
    await until(() => logs.some(({ message }) => message.includes('is not base64-encoded text')));
    await until(() => isEmpty('fixture-work'));
    await poison.clearMessages();
    expect(recorded('work')).toHaveLength(0);
  });

  test('can be invoked over HTTP, with an input instead of a message', async () => {
    const response = await fetch(`${host.url}/admin/functions/work`, {
      method: 'POST',
      headers: { 'x-functions-key': host.masterKey },
      body: JSON.stringify({ input: { id: 'by hand' } }),
    });
    expect(response.status).toBe(202);
    await until(() => recorded('work').length === 1);
    expect(recorded('work')[0]?.message).toEqual({ id: 'by hand' });
  });
});

describe('timer triggers', () => {
  test('fire on schedule', async () => {
    await until(() => recorded('tick').length >= 2);
    expect(recorded('tick')[0]?.timer).toMatchObject({
      isPastDue: expect.any(Boolean),
      schedule: { adjustForDST: true },
      scheduleStatus: { last: expect.any(String), next: expect.any(String), lastUpdated: expect.any(String) },
    });
  });

  test('can be invoked, and retry according to their retry policy', async () => {
    await host.invokeTimer('stubborn');
    expect(recorded('stubborn').map(({ retry }) => retry)).toEqual([
      undefined,
      { retryCount: 1, maxRetryCount: 2, exception: { message: 'broken on purpose' } },
      { retryCount: 2, maxRetryCount: 2, exception: { message: 'broken on purpose' } },
    ]);
    await expect(host.invokeTimer('unknown')).rejects.toThrow('Timer function "unknown" not found');
  });

  test('can be invoked over HTTP with the master key', async () => {
    const call = (key: string) =>
      fetch(`${host.url}/admin/functions/stubborn`, {
        method: 'POST',
        headers: { 'x-functions-key': key },
        body: '{}',
      });
    expect((await call(host.functionKey)).status).toBe(401);
    expect((await call(host.masterKey)).status).toBe(202);
    await until(() => recorded('stubborn').length === 3);
  });
});

// At the end, because the others run meanwhile.
test('an HTTP trigger fails after functionTimeout', async () => {
  const response = await hanging;
  expect(response.status).toBe(500);
  expect(timeouts).toEqual([
    expect.objectContaining({ message: expect.stringContaining('of 7 s was exceeded') }),
  ]);
});
