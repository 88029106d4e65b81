import { resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { campaignMetricsResource } from '../../../src/http/metrics/resource-schemas.ts';
import { type FunctionsHost, startFunctionsHost } from '../../../src/local/functions-host/host.ts';
import type { LogEntry } from '../../../src/local/functions-host/log.ts';
import type { CampaignMetricsInput } from '../../../src/metrics/contract/campaign-metrics-fields.ts';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { isLong } from '../../long.ts';
import { type Fault, FaultyDataverse, foreign } from '../../metrics/faulty-dataverse.ts';
import { input } from '../../metrics/metrics-world.ts';

const queuesOfSyncs = [
  'planRun',
  'fetchEntity',
  'mergeRound',
  'checkDatabase',
  'startChanges',
  'exportTables',
].flatMap((name) => [name, `${name}Poison`]);

let azurite: Azurite;
let dataverse: FaultyDataverse;
let host: FunctionsHost;
let address: string;
const logged: LogEntry[] = [];

beforeAll(async () => {
  azurite = await startAzurite();
  dataverse = new FaultyDataverse();
  host = await startFunctionsHost({
    appRoot: resolve(import.meta.dirname, '../../..'),
    settings: {
      DATAVERSE_URL: await dataverse.start(),
      DATAVERSE_ACCESS_TOKEN: 'test',
      SYNC_SCHEDULE: '0 0 0 1 1 *',
      METRICS_WRITE_TIMEOUT: '1.5',
      METRICS_BULK_TIMEOUT: '1',
      // Only campaign metrics have messages here. Their queue is looked at often, the others are not.
      AzureFunctionsJobHost__extensions__queues__maxPollingInterval: '00:00:00.200',
      ...Object.fromEntries(queuesOfSyncs.map((name) => [`AzureWebJobs.${name}.Disabled`, 'true'])),
    },
    connectionString: azurite.connectionString,
    log: (entry) => logged.push(entry),
  });
  address = `${host.url}/api/metrics/campaign`;
});

afterAll(async () => {
  await host.stop({ limit: 2_000 });
  dataverse.stop();
  await azurite.stop();
});

afterEach(async () => {
  dataverse.fault = () => undefined;
  dataverse.refuses = () => undefined;
  dataverse.delayMs = 0;
  // For a moment after a failure the app queues every record. Each test starts after that, with nothing queued.
  for (;;) {
    const answer = await send(fresh());
    if (answer.status === 201) return;
    await settled(answer.headers.get('location')!);
  }
});

async function send(body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(address, {
    method: 'POST',
    headers: { 'x-functions-key': host.functionKey, 'Content-Type': 'application/json', ...headers },
    ...(body === undefined
      ? {}
      : ({
          body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
        } as RequestInit)),
  });
  const text = await response.text();
  if (text !== '') expectDocumented('post', response.status, JSON.parse(text));
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : JSON.parse(text),
  };
}

async function get(url: string) {
  const response = await fetch(url, { headers: { 'x-functions-key': host.functionKey } });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Json };
}

/** Polls the status address of a 202 until the record is no longer queued. */
async function settled(location: string): Promise<Json> {
  for (;;) {
    const { body } = await get(location);
    campaignMetricsResource.status.parse(body);
    if (body.state !== 'queued') return body;
    await sleep(20);
  }
}

/**
 * The journal is written in order: when a record that is queued now is written, all before it are, unless Dataverse did
 * not answer for some of them. Those are written later.
 */
async function everythingQueuedIsWritten(): Promise<void> {
  const last = await send(fresh(), { Prefer: 'respond-async' });
  expect(await settled(last.headers.get('location')!)).toMatchObject({ state: 'written' });
}

/** Checks a response against the schemas of the OpenAPI document. */
function expectDocumented(method: 'post' | 'get', status: number, body: unknown): void {
  const { item, problem } = campaignMetricsResource;
  if (method === 'post' && status < 300) z.array(item).parse(Array.isArray(body) ? body : [body]);
  else if (status >= 400) problem.parse(body);
}

/** A body without a type. */
type Json = ReturnType<typeof JSON.parse>;

let runs = 0;
function fresh(more: Partial<CampaignMetricsInput> = {}): CampaignMetricsInput {
  runs += 1;
  return input({ runId: `fresh-${runs}`, ...more });
}
const idOf = (value: CampaignMetricsInput) => campaignMetricsId({ phase: '2-3', ...value });

describe('one record', () => {
  test('is created, then updated, with the values that were sent', async () => {
    const value = fresh({ costUSD: 0.00001, createdAt: '2026-11-21T10:00:00.25+02:00' });
    const created = await send(value);
    expect(created.status).toBe(201);
    expect(created.headers.get('location')).toBe(`${address}/${idOf(value)}`);
    const stored = {
      ...value,
      id: idOf(value),
      phase: '2-3',
      successRate: 75,
      createdAt: '2026-11-21T08:00:00.25Z',
    };
    expect(created.body).toMatchObject(stored);
    expect(dataverse.rows.get(idOf(value))).toMatchObject({
      apex_campaignid: 'spring',
      apex_costusd: 0.00001,
      apex_successrate: 75,
      apex_createdat: '2026-11-21T08:00:00.25Z',
      apex_latencyp95ms: 900,
    });
    const before = dataverse.requests.length;
    expect(await send({ ...value, tokensIn: 7 })).toMatchObject({ status: 200, body: { tokensIn: 7 } });
    expect(dataverse.requests.length - before).toBe(1);
    expect(dataverse.rows.get(idOf(value))).toMatchObject({ apex_tokensin: 7 });
    expect(await get(created.headers.get('location')!)).toMatchObject({ status: 200, body: { tokensIn: 7 } });
  });

  test('is written although another program changed or removed its row', async () => {
    const value = fresh();
    await send(value);
    const row = dataverse.rows.get(idOf(value))!;
    dataverse.rows.set(idOf(value), { ...row, '@odata.etag': 'W/"1"' });
    expect(await send({ ...value, tokensIn: 1 })).toMatchObject({ status: 200 });
    dataverse.rows.delete(idOf(value));
    expect(await send({ ...value, tokensIn: 2 })).toMatchObject({ status: 201 });
    dataverse.rows.set(idOf(value), row);
    expect(await send({ ...value, tokensIn: 3 })).toMatchObject({ status: 200, body: { tokensIn: 3 } });
  });

  test('that Dataverse rejects gets 422 and is not queued', async () => {
    dataverse.refuses = () => 'A validation error occurred.';
    const value = fresh();
    const answer = await send(value);
    expect(answer.status).toBe(422);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.body.detail).toContain('validation error');
    expect(answer.body.hint).toBe('Correct the record and send it again.');
    dataverse.refuses = () => undefined;
    await everythingQueuedIsWritten();
    expect(dataverse.rows.has(idOf(value))).toBe(false);
  });

  test.each<Fault>(['429', '503', 'lost', 'hang', 'late'])(
    'is queued, then written, after the fault %s',
    async (fault) => {
      const faults: (Fault | undefined)[] = [fault];
      dataverse.fault = (kind) => (kind === 'PATCH' ? faults.shift() : undefined);
      const value = fresh();
      const answer = await send(value);
      expect(answer.status).toBe(202);
      expect(answer.body).toMatchObject({ ...value, id: idOf(value) });
      expect(answer.headers.get('location')).toContain(`${address}/status/`);
      expect(await settled(answer.headers.get('location')!)).toMatchObject({
        state: 'written',
        id: idOf(value),
      });
      expect(dataverse.rows.get(idOf(value))).toMatchObject({ apex_runid: value.runId });
    },
  );

  test('is queued until Retry-After has passed, without a request to Dataverse', async () => {
    const faults: (Fault | undefined)[] = ['429'];
    dataverse.fault = (kind) => (kind === 'PATCH' ? faults.shift() : undefined);
    dataverse.retryAfterSeconds = 2;
    dataverse.impatient = 0;
    const first = await send(fresh());
    expect(first.status).toBe(202);
    const status = first.headers.get('location')!;
    for (let state = 'queued'; state === 'queued'; { state } = (await get(status)).body) {
      expect((await send(fresh())).status).toBeLessThan(300);
      await sleep(100);
    }
    expect(dataverse.impatient).toBe(0);
    dataverse.retryAfterSeconds = 1;
  });

  test('keeps its newer value when Dataverse executes an older write late', async () => {
    const value = fresh();
    dataverse.hold(['PATCH']);
    const first = await send({ ...value, tokensIn: 1 });
    expect(first.status).toBe(202);
    dataverse.fault = () => undefined;
    await settled(first.headers.get('location')!);
    const second = await send({ ...value, tokensIn: 2 });
    if (second.status === 202) await settled(second.headers.get('location')!);
    dataverse.release();
    while (dataverse.released.length === 0) await sleep(10);
    expect(dataverse.released).toEqual([412]);
    expect(dataverse.rows.get(idOf(value))).toMatchObject({ apex_tokensin: 2 });
  });

  test('is queued immediately for Prefer: respond-async', async () => {
    const before = dataverse.requests.length;
    const value = fresh();
    const answer = await send(value, { Prefer: 'return=minimal, respond-async; wait=5' });
    expect(answer.status).toBe(202);
    expect(answer.headers.get('preference-applied')).toBe('respond-async');
    await settled(answer.headers.get('location')!);
    expect(dataverse.rows.has(idOf(value))).toBe(true);
    expect(dataverse.requests.slice(before)).toEqual(['GET', 'CreateMultiple']);
  });
});

describe('a list', () => {
  test('is answered per item', async () => {
    const known = fresh();
    await send(known);
    const [a, b] = [fresh(), fresh()];
    const answer = await send([a, known, b, { ...a, tokensIn: 5 }]);
    expect(answer.status).toBe(207);
    expect(answer.body.map((item: Json) => item.status)).toEqual([201, 200, 201, 200]);
    expect(answer.body[0]).toMatchObject({ id: idOf(a), location: `${address}/${idOf(a)}`, runId: a.runId });
    expect(dataverse.rows.get(idOf(a))).toMatchObject({ apex_tokensin: 5 });
    expect((await send([fresh(), fresh()])).status).toBe(201);
  });

  test('writes the other records when Dataverse rejects one', async () => {
    dataverse.refuses = (row) => (row['apex_tokensin'] === 13 ? 'unlucky' : undefined);
    const values = Array.from({ length: 40 }, (_, n) => fresh({ tokensIn: n }));
    const answer = await send(values);
    expect(answer.status).toBe(207);
    expect(answer.body.map((item: Json) => item.status)).toEqual(
      values.map((v) => (v.tokensIn === 13 ? 422 : 201)),
    );
    expect(answer.body[13].problem.detail).toContain('unlucky');
    expect(values.filter((v) => dataverse.rows.has(idOf(v)))).toHaveLength(39);
  });

  test('reports a queued record that Dataverse rejects as poison', async () => {
    dataverse.refuses = (row) => (row['apex_tokensin'] === 13 ? 'unlucky' : undefined);
    const [bad, good] = [fresh({ tokensIn: 13 }), fresh()];
    const answer = await send([bad, good], { Prefer: 'respond-async' });
    expect(answer.status).toBe(202);
    const [first, second] = await Promise.all(answer.body.map((item: Json) => settled(item.location)));
    expect(first).toMatchObject({ state: 'poison', tokensIn: 13 });
    expect(first.hint).toContain('npm run metrics:replay');
    expect(second).toMatchObject({ state: 'written' });
  });

  test('takes 1,000 records', async () => {
    const values = Array.from({ length: 1000 }, () => fresh());
    const answer = await send(values);
    expect(new Set(answer.body.map((item: Json) => item.status))).toEqual(new Set([answer.status]));
    if (answer.status === 202) await settled(answer.headers.get('location')!);
    expect(values.every((value) => dataverse.rows.has(idOf(value)))).toBe(true);
  });
});

/** However late Dataverse executes a request that was given up, the value acknowledged last stays. */
describe.each(['new', 'existing'])('a late write of %s rows', (kind) => {
  const writes = ['CreateMultiple', 'UpsertMultiple', '$batch'];
  const values = () => [fresh({ tokensIn: 1 }), fresh({ tokensIn: 1 })];
  const newer = (value: CampaignMetricsInput) => ({ ...value, tokensIn: 2 });
  const stored = (list: CampaignMetricsInput[]) =>
    list.map((value) => dataverse.rows.get(idOf(value))?.['apex_tokensin']);

  async function prepared(): Promise<CampaignMetricsInput[]> {
    const list = values();
    if (kind === 'existing') expect((await send(list.map((v) => ({ ...v, tokensIn: 0 })))).status).toBe(201);
    return list;
  }

  /** Writes a newer value of the first record directly, then executes the held requests. */
  async function overtake([first, second]: CampaignMetricsInput[]): Promise<void> {
    dataverse.fault = () => undefined;
    // Without a record in the journal: only the answer 200 says that nothing else will be written.
    while ((await send(fresh())).status !== 201) await sleep(50);
    expect((await send(newer(first!))).status).toBe(200);
    dataverse.release();
    while (dataverse.released.length === 0) await sleep(10);
    expect(stored([first!, second!])).toEqual([2, 1]);
  }

  test('that was posted as a list', async () => {
    const list = await prepared();
    dataverse.hold(writes);
    const answer = await send(list);
    expect(answer.status).toBe(202);
    dataverse.fault = () => undefined;
    await settled(answer.headers.get('location')!);
    await overtake(list);
  });

  test('that the drain gave up', async () => {
    const list = await prepared();
    dataverse.hold(writes);
    const before = dataverse.requests.length;
    const answer = await send(list, { Prefer: 'respond-async' });
    expect(answer.status).toBe(202);
    const isHeld = () => dataverse.requests.slice(before).some((each) => writes.includes(each));
    while (!isHeld()) await sleep(10);
    // The drain sends the request again only after it has given up the held one.
    dataverse.fault = () => undefined;
    await settled(answer.headers.get('location')!);
    await overtake(list);
  });
});

describe.each(Object.keys(foreign) as Fault[])(
  'the answer 200 of something else than Dataverse (%s)',
  (fault) => {
    /** Answers the next request of a kind. */
    const next = (kind: string) => {
      const faults: (Fault | undefined)[] = [fault];
      dataverse.fault = (each) => (each === kind ? faults.shift() : undefined);
    };
    const expectWritten = async (answer: Awaited<ReturnType<typeof send>>, list: CampaignMetricsInput[]) => {
      expect(answer.status).toBe(202);
      await settled(answer.headers.get('location')!);
      const stored = list.map((value) => dataverse.rows.get(idOf(value))?.['apex_tokensin']);
      expect(stored).toEqual(list.map(({ tokensIn }) => tokensIn));
    };

    test('does not count as a write of one record', async () => {
      const value = fresh();
      next('PATCH');
      await expectWritten(await send(value), [value]);
    });

    test.each(['CreateMultiple', '$batch'])('does not count as a %s', async (kind) => {
      const list = [fresh(), fresh()];
      if (kind === '$batch') expect((await send(list.map((v) => ({ ...v, tokensIn: 0 })))).status).toBe(201);
      next(kind);
      await expectWritten(await send(list), list);
    });

    test('does not count for the drain', async () => {
      const list = [fresh(), fresh()];
      next('CreateMultiple');
      await expectWritten(await send(list, { Prefer: 'respond-async' }), list);
    });
  },
);

test('a list is queued if its versions cannot be read', async () => {
  const list = [fresh(), fresh()];
  const faults: (Fault | undefined)[] = ['web page'];
  dataverse.fault = (kind) => (kind === 'GET' ? faults.shift() : undefined);
  const answer = await send(list);
  expect(answer.status).toBe(202);
  await settled(answer.headers.get('location')!);
});

describe('a rejected request', () => {
  test('with one fault in a list writes nothing', async () => {
    const good = fresh();
    const answer = await send([good, { ...fresh(), tokensIn: -1, extra: 1 }]);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.body.hint).toContain('Nothing was written');
    expect(answer.body.errors.map((e: Json) => e.path).sort()).toEqual(['/1/extra', '/1/tokensIn']);
    await everythingQueuedIsWritten();
    expect(dataverse.rows.has(idOf(good))).toBe(false);
  });

  test.each([
    ['text/plain', {}],
    ['application/x-www-form-urlencoded', {}],
    ['application/json; charset=utf-16', {}],
    ['application/json', { 'Content-Encoding': 'gzip' }],
  ])('gets 415 for %s %j', async (type, headers) => {
    expect((await send(fresh(), { 'Content-Type': type, ...headers })).status).toBe(415);
  });

  test('gets 413 for a body that is too large', async () => {
    expect((await send(`[${'1,'.repeat(2_200_000)}1]`)).status).toBe(413);
  });

  test('gets 401 without the key', async () => {
    expect((await fetch(address, { method: 'POST', body: '{}' })).status).toBe(401);
  });

  test('gets 404 for an unknown id or ticket, and none of them is worth a warning', async () => {
    logged.length = 0;
    expect((await get(`${address}/00000000-0000-5000-8000-000000000000`)).status).toBe(404);
    expect((await get(`${address}/status/1-7`)).status).toBe(404);
    expect((await get(`${address}/status/nothing`)).status).toBe(404);
    expect(logged.filter(({ level }) => level === 'warning' || level === 'error')).toEqual([]);
    expect(logged.filter(({ category }) => category === 'Function.campaignMetricsGet')).not.toEqual([]);
  });
});

test('the OpenAPI document describes the methods of every resource', async () => {
  const { body } = await get(`${host.url}/api/openapi.json`);
  for (const [path, operations] of Object.entries(body.paths as Record<string, object>)) {
    const url = body.servers[0].url + path.replace('{id}', '00000000-0000-5000-8000-000000000000');
    const key = { 'x-functions-key': host.functionKey };
    const allowed = (await fetch(url, { method: 'DELETE', headers: key })).headers.get('allow');
    const documented = Object.keys(operations).map((method) => method.toUpperCase());
    const undocumented = ['HEAD', 'OPTIONS'];
    expect(allowed?.split(', ').sort()).toEqual([...documented, ...undocumented].sort());
  }
});

/** A thousand in the long form. */
const manyRecords = isLong ? 1000 : 100;

test(`50 clients write ${manyRecords} records through 429, 503 and timeouts: each is stored once, with its last value`, async () => {
  let seed = 7;
  const random = () => {
    seed = (seed * 48271) % 2147483647;
    return seed / 2147483647;
  };
  const faults: Fault[] = ['429', '503', 'lost', 'hang', 'late'];
  let failed = 0;
  let requests = 0;
  // In turn, and at first of every second request, so that each comes in few requests, too.
  dataverse.fault = () => {
    const isFailing = failed < faults.length ? requests++ % 2 === 1 : random() < 0.15;
    return isFailing ? faults[failed++ % faults.length] : undefined;
  };
  const before = dataverse.rows.size;
  const statuses = new Map<number, number>();
  const expected = new Map<string, number>();
  const queued = new Set<string>();
  await Promise.all(
    Array.from({ length: 50 }, async (_, client) => {
      for (let n = 0; n < manyRecords / 50; n += 1) {
        const value = input({ campaignId: `client-${client}`, runId: `r${n}` });
        for (let version = 1; version <= 2; version += 1) {
          const answer = await send({ ...value, tokensIn: version });
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
          if (answer.status < 300) expected.set(idOf(value), version);
          if (answer.status === 202) queued.add(answer.headers.get('location')!);
        }
      }
    }),
  );
  expect([...statuses.keys()].every((status) => [200, 201, 202].includes(status))).toBe(true);
  for (const status of queued) expect(await settled(status)).toMatchObject({ state: 'written' });
  while (dataverse.late > 0) await sleep(20);
  expect(failed).toBeGreaterThanOrEqual(faults.length);
  expect(expected.size).toBe(manyRecords);
  const wrong = [...expected].filter(
    ([id, version]) => dataverse.rows.get(id)?.['apex_tokensin'] !== version,
  );
  expect(wrong).toEqual([]);
  expect(dataverse.rows.size - before).toBe(manyRecords);
}, 180_000);

/** A request takes up to 1,000 records. More of them are sent while records come. */
const [queuedRecords, mostRequests] = isLong ? [10_000, 100] : [2500, 50];

test(`${queuedRecords} queued records take fewer than ${mostRequests} requests`, async () => {
  const before = dataverse.requests.length;
  let last = '';
  const clients = Array.from({ length: 20 }, async (_, client) => {
    for (let n = 0; n < queuedRecords / 500; n += 1) {
      const list = Array.from({ length: 25 }, (_, i) =>
        input({ campaignId: `bulk-${client}`, runId: `${n}-${i}` }),
      );
      const answer = await send(list, { Prefer: 'respond-async' });
      expect(answer.status).toBe(202);
      last = answer.headers.get('location')!;
    }
  });
  await Promise.all(clients);
  await settled(last);
  const written = () =>
    [...dataverse.rows.values()].filter((r) => String(r['apex_campaignid']).startsWith('bulk-')).length;
  while (written() < queuedRecords) await sleep(50);
  expect(dataverse.requests.length - before).toBeLessThan(mostRequests);
}, 180_000);

test('measures what a direct write adds to the time of Dataverse', async () => {
  dataverse.delayMs = 20;
  const median = (times: number[]) => times.sort((a, b) => a - b)[times.length >> 1]!;
  const timed = async (work: () => Promise<unknown>) => {
    const began = performance.now();
    await work();
    return performance.now() - began;
  };
  const path = `${dataverse.url}/api/data/v9.2/apex_campaignmetricses`;
  const values = { 'Content-Type': 'application/json' };
  const [own, ours]: [number[], number[]] = [[], []];
  for (let n = 0; n < 30; n += 1) {
    const id = `00000000-0000-5000-8000-${String(n).padStart(12, '0')}`;
    const direct = () => fetch(`${path}(${id})`, { method: 'PATCH', headers: values, body: '{}' });
    own.push(await timed(async () => (await direct()).text()));
    ours.push(await timed(async () => expect((await send(fresh())).status).toBe(201)));
  }
  const added = median(ours) - median(own);
  console.info(
    `direct path: ${added.toFixed(1)} ms over Dataverse's own ${median(own).toFixed(1)} ms (medians)`,
  );
});
