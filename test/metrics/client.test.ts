import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  CampaignMetricsClient,
  type CampaignMetricsClientOptions,
  type CampaignMetricsError,
  type CampaignMetricsInput,
  writeCampaignMetrics,
} from '../../src/metrics/client.ts';
import { input } from './metrics-world.ts';

let server: Server;
let url: string;
let received: CampaignMetricsInput[][];
let headers: Record<string, unknown>[];
let answers: { status: number; body?: unknown; headers?: Record<string, string>; cut?: boolean }[];
let errors: CampaignMetricsError[];

beforeEach(async () => {
  received = [];
  headers = [];
  answers = [];
  errors = [];
  server = createServer(async (request, response) => {
    const records = JSON.parse(await text(request)) as CampaignMetricsInput[];
    headers.push(request.headers);
    const answer = answers.shift() ?? { status: 202, body: records.map(() => ({ status: 202 })) };
    if (answer.cut) return void request.socket.destroy();
    if (answer.status < 300) received.push(records);
    response.writeHead(answer.status, answer.headers).end(JSON.stringify(answer.body ?? {}));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/metrics/campaign`;
});

afterEach(() => {
  server.close();
  server.closeAllConnections();
});

const create = (options: CampaignMetricsClientOptions = {}) =>
  new CampaignMetricsClient({
    url,
    key: 'k',
    lingerMs: 5,
    onError: (error) => errors.push(error),
    ...options,
  });

test('collects records and sends them in batches, as they were when passed in', async () => {
  const client = create({ batchSize: 4 });
  const record = input();
  const taken = Array.from({ length: 10 }, (_, n) => {
    record.runId = `run-${n}`;
    return client.write(record);
  });
  expect(await Promise.all(taken)).toEqual(Array(10).fill(true));
  expect(received.map((list) => list.length)).toEqual([4, 4, 2]);
  expect(received.flat().map((r) => r.runId)).toEqual(Array.from({ length: 10 }, (_, n) => `run-${n}`));
  expect(headers[0]).toMatchObject({ 'x-functions-key': 'k', prefer: 'respond-async' });
  await client.close();
});

test('retries after broken connections, throttling and outages', async () => {
  answers = [{ status: 0, cut: true }, { status: 429, headers: { 'Retry-After': '0' } }, { status: 503 }];
  const client = create();
  expect(await client.write(input())).toBe(true);
  expect(received).toHaveLength(1);
  expect(errors).toEqual([]);
  await client.close();
});

test('rejects only if asked to', async () => {
  const client = create({ maxTries: 1 });
  answers = [{ status: 401 }];
  expect(await client.write(input())).toBe(false);
  expect(errors[0]).toMatchObject({ status: 401 });
  answers = [{ status: 401 }];
  await expect(client.writeOrThrow(input())).rejects.toMatchObject({
    name: 'CampaignMetricsError',
    status: 401,
  });
  answers = [{ status: 400, body: { detail: 'The body has 1 fault.' } }];
  await expect(writeCampaignMetrics(input(), { client, throws: true })).rejects.toThrow(
    'The body has 1 fault.',
  );
  const circular = input() as CampaignMetricsInput & { self?: unknown };
  circular.self = circular;
  expect(await client.write(circular)).toBe(false);
  const silent = create({
    maxTries: 1,
    onError: () => {
      throw new Error('the application’s own');
    },
  });
  answers = [{ status: 403 }];
  expect(await silent.write(input())).toBe(false);
  await client.close();
  expect(await client.write(input())).toBe(false);
  expect(errors.at(-1)?.message).toContain('closed');
});

test('delivers the records beside an invalid one', async () => {
  const client = create({ fetch: refusing((record) => record.tokensIn === -1) });
  const taken = [1, 2, -1, 3, 4].map((tokensIn) => client.write(input({ tokensIn })));
  expect(await Promise.all(taken)).toEqual([true, true, false, true, true]);
  expect(errors.map((error) => error.records[0]!.tokensIn)).toEqual([-1]);
  await client.close();
});

test('reports a rejected record within a batch alone', async () => {
  const client = create();
  answers = [
    {
      status: 207,
      body: [{ status: 201 }, { status: 422, problem: { detail: 'Too long.', hint: 'Cut it.' } }],
    },
  ];
  expect(await Promise.all([client.write(input()), client.write(input({ runId: 'b' }))])).toEqual([
    true,
    false,
  ]);
  expect(errors[0]).toMatchObject({
    status: 422,
    message: 'The endpoint answered 422 for this record: Too long. Cut it.',
    records: [{ runId: 'b' }],
  });
  await client.close();
});

test.each([
  ['a number that JSON does not have', { ...input(), costUSD: Number.NaN }, 'costUSD is NaN'],
  ['no record', undefined, 'must be an object, not undefined'],
])('reports %s alone, and says what is wrong', async (_, wrong, expected) => {
  const client = create();
  const results = await Promise.all([
    client.write(wrong as CampaignMetricsInput),
    client.write(input({ runId: 'beside' })),
  ]);
  expect(results).toEqual([false, true]);
  expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining(expected)]);
});

test('names the status of a rejected record without a reason', async () => {
  const client = create();
  answers = [{ status: 207, body: [{ status: 422 }] }];
  expect(await client.write(input())).toBe(false);
  expect(errors[0]?.message).toBe('The endpoint answered 422 for this record: it gave no reason.');
  await client.close();
});

test.each([
  ['an object', {}],
  ['too few entries', [{ status: 202 }]],
  ['entries without a status', [{}, {}]],
  ['a page', '<html>'],
])('does not take %s for success', async (_, body) => {
  const client = create({ maxTries: 2 });
  answers = [
    { status: 200, body },
    { status: 200, body },
  ];
  expect(await Promise.all([client.write(input()), client.write(input())])).toEqual([false, false]);
  expect(answers).toEqual([]);
  expect(errors[0]).toMatchObject({
    status: 200,
    message: expect.stringContaining('check that the address'),
  });
  await client.close();
});

test.each(['http://app.example/api', 'ftp://app.example', 'http://127.0.0.1.evil.example/', 'no address'])(
  'sends nothing, and the key to nobody, where the address is %s',
  async (address) => {
    let requests = 0;
    const fetch = async (): Promise<Response> => {
      requests += 1;
      return new Response();
    };
    const client = create({ url: address, fetch });
    expect(await client.write(input())).toBe(false);
    expect(errors[0]!.message).toMatch(
      /^The address of the endpoint .*(use https:|correct CAMPAIGN_METRICS_URL)\.$/,
    );
    expect(requests).toBe(0);
  },
);

test.each(['https://app.example/api', 'http://localhost:7071/api', 'http://[::1]:7071/api'])(
  'accepts the address %s',
  async (address) => {
    const fetch = async (): Promise<Response> => Response.json([{ status: 202 }], { status: 202 });
    expect(await create({ url: address, fetch }).write(input())).toBe(true);
  },
);

test.each([301, 302, 303, 307, 308])('takes the redirect %i for an error', async (status) => {
  const client = create();
  answers = [{ status, headers: { location: url } }];
  expect(await client.write(input())).toBe(false);
  expect(errors[0]).toMatchObject({ status, message: expect.stringContaining('redirects') });
  expect(received).toEqual([]);
  await client.close();
});

test('puts the first validation errors of a 400 into the message', async () => {
  const client = create();
  const list = ['campaignId', 'runId', 'phase', 'tokensIn'].map((name) => ({
    path: `/0/${name}`,
    detail: 'is missing',
  }));
  answers = [
    { status: 400, body: { detail: 'The body has 4 faults.', errors: list, hint: 'Correct them.' } },
  ];
  expect(await client.write(input())).toBe(false);
  expect(errors[0]?.message).toBe(
    'The endpoint answered 400: The body has 4 faults. /0/campaignId is missing; /0/runId is missing; /0/phase is missing; 1 more. Correct them.',
  );
  await client.close();
});

/** Like the endpoint: rejects a batch with one invalid record completely. */
function refusing(faulty: (record: CampaignMetricsInput) => boolean): typeof fetch {
  return (async (address: string, init: RequestInit) => {
    const records = JSON.parse(String(init.body)) as CampaignMetricsInput[];
    if (records.some(faulty)) return new Response('{"detail":"The body has 1 fault."}', { status: 400 });
    return fetch(address, init);
  }) as typeof fetch;
}

test('drops new records when its queue is full', async () => {
  const client = create({ maxQueued: 3, lingerMs: 1_000 });
  const taken = Array.from({ length: 5 }, () => client.write(input()));
  expect(client.queued).toBe(3);
  await client.flush();
  expect(await Promise.all(taken)).toEqual([true, true, true, false, false]);
  expect(errors).toHaveLength(2);
  await client.close();
});

test('reports at once that no endpoint is set', async () => {
  const client = create({ url: '' });
  expect(await client.write(input())).toBe(false);
  expect(errors[0]?.message).toContain('CAMPAIGN_METRICS_URL');
});

/** Runs a program that has `client` and `record`, and returns what it printed and how it ended. */
async function run(program: string, options: { onOutput?: (child: ChildProcess) => void } = {}) {
  const module = JSON.stringify(resolve(import.meta.dirname, '../../src/metrics/client.ts'));
  const code = `const client = await import(${module}); const record = ${JSON.stringify(input())}; ${program}`;
  const env = { ...process.env, CAMPAIGN_METRICS_URL: url };
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
    options.onOutput?.(child);
  });
  child.stderr.on('data', (chunk) => (output += chunk));
  const [code_, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { output, status: code_, signal };
}

test('sends waiting records when the program ends', async () => {
  await run(`client.writeCampaignMetrics({ ...record, runId: 'last words' });`);
  expect(received.flat().map((record) => record.runId)).toEqual(['last words']);
});

const stayAlive = `setInterval(() => {}, 1000); const { writeCampaignMetrics, CampaignMetricsClient } = client;
  const waiting = new CampaignMetricsClient({ lingerMs: 60_000 }); waiting.write(record);`;
const terminate = { onOutput: (child: ChildProcess) => child.kill('SIGTERM') };

test('sends waiting records on SIGTERM, and the process ends by it', async () => {
  const { signal } = await run(`${stayAlive} console.log('ready');`, terminate);
  expect(signal).toBe('SIGTERM');
  expect(received.flat()).toHaveLength(1);
});

test('leaves the end of the process to the listener of the application', async () => {
  const own = `process.on('SIGTERM', async () => { await waiting.close(); process.exit(7); });`;
  const { status } = await run(`${stayAlive} ${own} console.log('ready');`, terminate);
  expect(status).toBe(7);
  expect(received.flat()).toHaveLength(1);
});

test.each(['before', 'after'])(
  'leaves the end of the process to a listener that runs once, registered %s the first record',
  async (when) => {
    const own = `process.once('SIGTERM', async () => {
      await waiting.close(); await new Promise((end) => setTimeout(end, 300)); process.exit(7); });`;
    const parts =
      when === 'before' ? [own.replace('waiting.close()', 'late()'), stayAlive] : [stayAlive, own];
    const late = 'const late = () => waiting.close();';
    const { status, signal } = await run(`${late} ${parts.join(' ')} console.log('ready');`, terminate);
    expect({ status, signal }).toEqual({ status: 7, signal: null });
    expect(received.flat()).toHaveLength(1);
  },
);

test('registers one listener, however many clients there are', async () => {
  const { output } = await run(`
    const clients = Array.from({ length: 50 }, () => new client.CampaignMetricsClient());
    await Promise.all(clients.map((each) => each.write(record)));
    console.log(process.listenerCount('beforeExit'), process.listenerCount('SIGTERM'));`);
  expect(output).toBe('1 1\n');
});

test.each([
  ['without process', 'delete globalThis.process;'],
  ['with a process that has only variables', 'globalThis.process = { env: {} };'],
])('works %s, as in browsers and edge runtimes', async (_, prepare) => {
  const module = JSON.stringify(resolve(import.meta.dirname, '../../src/metrics/client.ts'));
  const { output } = await run(`
    const { log } = console; ${prepare}
    const { CampaignMetricsClient } = await import(${module} + '?again');
    const timer = globalThis.setTimeout;
    globalThis.setTimeout = (work, ms) => (timer(work, ms), 1);
    // The fetch of Node.js needs timers of Node.js.
    const fetch = async (_, { body }) => Response.json(JSON.parse(body).map(() => ({ status: 202 })));
    const edge = new CampaignMetricsClient({ url: 'https://app.example', lingerMs: 1, fetch });
    log(await edge.write(record));
    await edge.close();
    console.warn = (error) => log(error.message);
    log(await edge.write(record));`);
  expect(output).toBe('true\nThe client is closed.\nfalse\n');
});
