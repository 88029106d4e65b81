import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FunctionsHost, startFunctionsHost } from '../../src/local/functions-host/host.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { type FaultyProxy, startFaultyProxy } from '../faulty-proxy.ts';
import { input } from '../metrics/metrics-world.ts';
import { fuzz } from './fuzz.ts';
import { damages, Mutant, mutants, noise } from './mutations.ts';

/** The registered functions, with one start for everything that reaches them from outside. */

let azurite: Azurite;
let sample: SampleDataverse;
let proxy: FaultyProxy;
let host: FunctionsHost;
let folder: string;
/** The requests to Dataverse. */
const requests: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuzz-'));
  await writeFile(join(folder, 'entities.json'), '["account", "lead"]');
  [azurite, sample] = await Promise.all([startAzurite(), startSampleDataverse({ rows: 60 })]);
  proxy = await startFaultyProxy(Number(new URL(sample.url).port));
  proxy.fault = ({ method, url = '' }) => {
    requests.push(`${method} ${url}`);
    return 'none';
  };
  host = await startFunctionsHost({
    appRoot: resolve(import.meta.dirname, '../..'),
    settings: {
      DATAVERSE_URL: `http://127.0.0.1:${proxy.port}`,
      DATAVERSE_ACCESS_TOKEN: 'test',
      SYNC_SCHEDULE: '0 0 0 1 1 *',
      SYNC_ENTITIES_FILE: join(folder, 'entities.json'),
      METRICS_WRITE_TIMEOUT: '60',
      AzureFunctionsJobHost__extensions__queues__visibilityTimeout: '00:00:00',
      AzureFunctionsJobHost__extensions__queues__maxPollingInterval: '00:00:00.300',
    },
    connectionString: azurite.connectionString,
  });
});

afterAll(async () => {
  await host.stop({ limit: 2_000 });
  await Promise.all([proxy.close(), sample.stop(), azurite.stop()]);
  await rm(folder, { recursive: true, force: true });
});

async function call(path: string, init: RequestInit = {}): Promise<{ status: number; text: string }> {
  const headers = { 'x-functions-key': host.functionKey, ...init.headers };
  const response = await fetch(`${host.url}/api/${path}`, { ...init, headers });
  return { status: response.status, text: await response.text() };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

type Item = Record<string, unknown> & { id: string; status: number };

describe('bodies of campaign metrics', () => {
  const one = input({ phase: '2-3', createdAt: '2026-11-21T10:00:00Z' });
  const list = ['a', 'b', 'c'].map((runId) => ({ ...one, runId }));
  const documents = {
    'a record': Buffer.from(JSON.stringify(one)),
    'a list': Buffer.from(JSON.stringify(list, null, 1)),
  };
  const tokens = [
    ...[
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '\\',
      '\\u0000',
      '\\ud800',
      '\uFEFF',
      'null',
      'true',
      '{}',
      '[]',
      '""',
      ' ',
    ],
    ...[
      '-1',
      '1e999',
      '0.5',
      '99999999999999999999',
      '-0',
      '1E2',
      '"tokensIn":1,',
      '"__proto__":{"a":1},',
      '},{',
    ],
    ...[
      "'",
      "' or 1 eq 1",
      '\r\nX-Y: z',
      '../',
      '%2f',
      '"campaignId":"x",',
      '"@odata.bind":"x",',
      '2026-02-30T00:00:00Z',
    ],
  ];
  const bodies = fc.oneof({ weight: 4, arbitrary: mutants(documents, tokens) }, noise(tokens));

  fuzz(
    'are stored as they were sent, or not at all',
    bodies,
    { seed: 41, runs: 50 },
    async ({ bytes }: Mutant) => {
      const before = requests.length;
      const headers = { 'content-type': 'application/json' };
      const { status, text } = await call('metrics/campaign', {
        method: 'POST',
        body: new Uint8Array(bytes),
        headers,
      });
      if (status >= 400) {
        expect([400, 413, 415, 422]).toContain(status);
        expect(JSON.parse(text)).toMatchObject({ status, hint: expect.any(String) });
        // 422 is Dataverse's own rejection of one record, which it does not store.
        if (status !== 422) expect(requests.slice(before)).toEqual([]);
        return;
      }
      expect([200, 201, 207]).toContain(status);
      const answer = JSON.parse(text) as Item | Item[];
      const sent = JSON.parse(bytes.toString()) as Record<string, unknown> | Record<string, unknown>[];
      expect(Array.isArray(answer)).toBe(Array.isArray(sent));
      const items = [answer].flat();
      const stored = sample.store.truth('apex_campaignmetrics');
      [sent].flat().forEach(({ createdAt: _, ...record }, index) => {
        const { id, ...item } = items[index]!;
        expect(item).toMatchObject(record);
        const row = stored.get(id)!;
        // Two records of one list can be the same row; then the last one counts.
        if (items.filter((other) => other.id === id).length > 1) return;
        expect([row['apex_campaignid'], row['apex_runid']]).toEqual([record['campaignId'], record['runId']]);
        expect(Number(row['apex_tokensin'])).toBe(record['tokensIn']);
        expect(Number(row['apex_costusd'])).toBe(record['costUSD']);
      });
    },
  );
});

const pageRuns = { seed: 42, runs: 30 };

describe('page tokens', () => {
  let link: string;
  let own: string;
  beforeAll(async () => {
    const records = ['x', 'y', 'z'].map((runId) => input({ campaignId: 'paged', runId }));
    const headers = { 'content-type': 'application/json' };
    await call('metrics/campaign', { method: 'POST', body: JSON.stringify(records), headers });
    requests.length = 0;
    const { text } = await call('metrics/campaign?limit=1&campaignId=paged');
    own = queryOf(requests[0]!);
    const { next } = JSON.parse(text) as { next: string };
    link = Buffer.from(new URL(next).searchParams.get('page')!, 'base64url').toString();
  });

  /** A request without its position. */
  function queryOf(request: string): string {
    const url = new URL(request.replace(/^GET /, ''), 'http://x');
    url.searchParams.delete('$skiptoken');
    return `${url.pathname} ${[...url.searchParams].sort().join(' ')}`;
  }

  const tokens = [
    ...[
      '/',
      '\\',
      '..',
      '/../accounts',
      'accounts',
      'contacts?',
      '?',
      '&',
      '=',
      '#',
      '%',
      '%2e%2e',
      '@',
      ':',
      '$skiptoken=',
    ],
    ...[
      '$filter=1 eq 1',
      '&$select=*',
      '&$expand=x',
      '$skiptoken=1&$skiptoken=2',
      'http://evil.example',
      '//evil.example/',
    ],
    ...[
      '\0',
      '\n',
      ' ',
      '"',
      "'",
      '<cookie pagenumber="2"/>',
      'é',
      '$SKIPTOKEN',
      '$count=true',
      '&$top=5000',
      '+',
    ],
  ];
  /** What is damaged: the link in the token, or the text of the token. */
  const part = fc.constantFrom('link', 'text');

  fuzz(
    'read no other table, and never fail',
    fc.tuple(part, damages(tokens)),
    pageRuns,
    async ([what, how]) => {
      const text = what === 'link' ? link : Buffer.from(link).toString('base64url');
      const { bytes } = new Mutant(what, Buffer.from(text), how);
      const token = what === 'link' ? bytes.toString('base64url') : bytes.toString('latin1');
      requests.length = 0;
      const query = new URLSearchParams({ limit: '1', campaignId: 'paged', page: token });
      const answer = await call(`metrics/campaign?${query}`);
      expect([200, 400]).toContain(answer.status);
      expect(requests.map(queryOf).filter((each) => each !== own)).toEqual([]);
      if (answer.status === 400) return;
      const { items } = JSON.parse(answer.text) as { items: Item[] };
      for (const item of items) expect(item).toMatchObject({ id: expect.any(String), campaignId: 'paged' });
    },
  );
});

describe('garbage in storage', () => {
  const texts = [
    ...[
      '',
      'null',
      '5',
      '[]',
      '{}',
      '"x"',
      '{"runId":',
      '{"__proto__":{"polluted":1}}',
      '\0\u00ff',
      '['.repeat(20_000),
    ],
    ...[
      '{"runId":"../x","round":1,"entity":"..","slice":0,"entities":[null],"tables":[],"phase":"complete"}',
    ],
  ];
  const names = [
    '00000000-0000-5000-8000-000000000001.json',
    'x',
    'x.json',
    'run.json',
    'ünï 漢字.json',
    'a b+c%20d&e=f?.json',
    '\'"<script>.json',
    '..json',
    '.'.repeat(60),
  ];
  const all = async (container: ContainerClient): Promise<string[]> =>
    (await collect(container.listBlobsFlat())).map(({ name }) => name);
  const sync = async (): Promise<{ runId: string; phase: string; totals: { failed: number } }> => {
    const { text } = await call('sync', { method: 'POST' });
    const { runId } = JSON.parse(text) as { runId: string };
    for (;;) {
      const run = JSON.parse((await call(`sync/${runId}`)).text);
      if (run.phase === 'failed') console.log(JSON.stringify(run).slice(0, 1500));
      if (run.phase === 'complete' || run.phase === 'failed') return run;
      await sleep(50);
    }
  };

  test('stops no sync, and breaks no page', async () => {
    const first = await sync();
    expect(first).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
    const blobs = BlobServiceClient.fromConnectionString(azurite.connectionString);
    const queues = QueueServiceClient.fromConnectionString(azurite.connectionString);
    let n = 0;
    const put = async (container: ContainerClient, name: string): Promise<void> => {
      const text = texts[n++ % texts.length]!;
      await container.getBlockBlobClient(name).upload(text, Buffer.byteLength(text));
    };
    for (const { name } of await collect(blobs.listContainers())) {
      const container = blobs.getContainerClient(name);
      const known = await all(container);
      // In the place of what is there, except the rows that no other place has.
      const replaceable = known.filter((each) => !/^dataverse\.db$|^metrics\//.test(each));
      expect(replaceable.length).toBeGreaterThan(0);
      for (const each of replaceable) await put(container, each);
      const folders = new Set(
        known.flatMap((each) => each.split('/').map((_, at, parts) => parts.slice(0, at).join('/'))),
      );
      for (const prefix of [
        ...folders,
        'runs',
        `runs/${first.runId}x`,
        'files',
        'metrics/poison',
        'journal',
      ]) {
        for (const each of names.slice(0, 3 + (n % 5)))
          await put(container, prefix === '' ? each : `${prefix}/${each}`);
      }
    }
    const listened = (await collect(queues.listQueues())).map(({ name }) => name);
    expect(listened).toContain('sync-merge-poison');
    for (const name of listened) {
      const queue = queues.getQueueClient(name);
      for (const text of [...texts, 'x'.repeat(40_000)]) {
        await queue.sendMessage(Buffer.from(text).toString('base64'));
      }
      await queue.sendMessage('not base64 é !!');
    }

    sample.store.create('account', {});
    expect(await sync()).toMatchObject({ phase: 'complete', totals: { failed: 0, added: 1 } });
    const { runs } = JSON.parse((await call('sync')).text) as { runs: { runId: string }[] };
    const paths = [
      'sync',
      'schema',
      'verify',
      'metrics/campaign',
      'metrics/campaign/summary',
      'openapi.json',
    ];
    paths.push(
      ...runs.map(({ runId }) => `sync/${encodeURIComponent(runId)}`),
      'metrics/campaign/status/1-2',
    );
    for (const path of paths) {
      for (const accept of ['application/json', 'text/html']) {
        const { status, text } = await call(path, { headers: { accept } });
        expect(status, `${path}: ${text.slice(0, 300)}`).toBeLessThan(500);
        expect(text).not.toContain('<script>');
      }
    }
    const headers = { 'content-type': 'application/json', prefer: 'respond-async' };
    const queued = await call('metrics/campaign', { method: 'POST', body: JSON.stringify(input()), headers });
    expect(queued.status).toBe(202);
    const { location } = JSON.parse(queued.text) as { location: string };
    const status = new URL(location).pathname.replace('/api/', '');
    while (JSON.parse((await call(status)).text).state !== 'written') await sleep(100);
    // What no function takes ends in the queue that no function listens to.
    for (const name of listened.filter((each) => each.startsWith('sync-'))) {
      const queue = queues.getQueueClient(name);
      while ((await queue.getProperties()).approximateMessagesCount! > 0) await sleep(50);
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(await sync()).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
  });
});
