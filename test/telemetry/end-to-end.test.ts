import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import type { RunStatus } from '../../src/sync/run/run-status.ts';
import { events, metrics, spans } from '../../src/telemetry/names.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { input } from '../metrics/metrics-world.ts';
import { AppProcess } from './app-process.ts';
import { type Envelope, IngestionEndpoint, identityClientId, ingestionToken } from './ingestion-endpoint.ts';

/** Values that must not leave the app: of the configuration, and of rows. */
const markers = {
  token: 'marker-dataverse-token-9f31c2',
  row: 'MarkerRowValue',
  campaign: 'marker-campaign',
};

const entities = [
  'account',
  'contact',
  'new_ledgerentry',
  'webresource',
  { name: 'systemuser', filtered: true },
];

let azurite: Azurite;
let dataverse: SampleDataverse;
let ingestion: IngestionEndpoint;
let folder: string;
let settings: Record<string, string>;
const apps: AppProcess[] = [];

/** Settings of an app with storage of its own. */
function settingsOf(name: string, more: Record<string, string> = {}): Record<string, string> {
  return {
    AzureWebJobsStorage: azurite.connectionString,
    DATAVERSE_URL: dataverse.url,
    DATAVERSE_ACCESS_TOKEN: markers.token,
    SYNC_ENTITIES_FILE: join(folder, 'entities.json'),
    SYNC_WORK_CONTAINER: `work-${name}`,
    SYNC_DATABASE_CONTAINER: `database-${name}`,
    SYNC_QUEUE_PREFIX: name,
    METRICS_WRITE_TIMEOUT: '0.5',
    AzureFunctionsJobHost__extensions__queues__maxPollingInterval: '00:00:00.300',
    ...more,
  };
}

const configure = (tables: unknown[]) =>
  writeFile(join(folder, 'entities.json'), JSON.stringify({ entities: tables }));

async function startApp(of: Record<string, string>): Promise<AppProcess> {
  const app = await AppProcess.start(of);
  apps.push(app);
  return app;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'telemetry-'));
  await configure(entities);
  [azurite, dataverse, ingestion] = await Promise.all([
    startAzurite(),
    startSampleDataverse({ rows: 400, hostileValues: false, latencyMs: 5 }),
    IngestionEndpoint.start(),
  ]);
  dataverse.store.create('account', { name: markers.row });
  settings = ingestion.settings;
});

afterAll(async () => {
  for (const app of apps) app.kill();
  await Promise.all([ingestion.stop(), dataverse.stop(), azurite.stop()]);
  await rm(folder, { recursive: true, force: true });
});

const ofTrace = (traceId: string) =>
  [...ingestion.of('Request'), ...ingestion.of('RemoteDependency')].filter(
    ({ tags }) => tags['ai.operation.id'] === traceId,
  );
const idOf = ({ data }: Envelope) => data.baseData.id ?? '';
const parentOf = ({ tags }: Envelope) => tags['ai.operation.parentId'];
const nameOf = ({ data }: Envelope) => data.baseData.name ?? '';
const traceOf = ({ traceparent }: RunStatus) => (traceparent ?? '').split('-')[1] ?? '';

describe('an app with Application Insights', () => {
  let first: RunStatus;
  let second: RunStatus;
  /** Runs in which nothing changed: the first one of the timer, the second one of a request. */
  let idle: RunStatus[];
  /** A run that a request started, with a table that is new. */
  let added: RunStatus;

  beforeAll(async () => {
    const app = await startApp(settingsOf('first', settings));
    first = await app.sync();
    dataverse.faults.add({ kind: '503', match: /^GET .*\/contacts/, times: 1 });
    second = await app.sync();
    idle = [await app.sync(), await app.sync('http')];
    await configure([...entities, 'team']);
    added = await app.sync('http');
    const post = (headers = {}) =>
      app.request('metrics/campaign', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(input({ campaignId: markers.campaign })),
      });
    expect((await post()).status).toBe(201);
    const outage = dataverse.faults.add({ kind: '503', match: /^(?:POST|PATCH) /, times: 2 });
    const queued = await post({ prefer: 'respond-async' });
    expect(queued.status).toBe(202);
    const { pathname } = new URL(queued.headers.get('location')!, app.url);
    const status = pathname.replace(/^\/api\//, '');
    const stateOf = async () => ((await (await app.request(status)).json()) as { state: string }).state;
    await until(async () => (await stateOf()) === 'written');
    expect(outage.hits).toBe(2);
    await app.stop();
  });

  test('signs what it sends with the managed identity', () => {
    expect(new Set(ingestion.statuses)).toEqual(new Set([200]));
    expect(ingestion.tokenRequests.length).toBeGreaterThan(0);
    for (const request of ingestion.tokenRequests) {
      expect(request).toMatch(new RegExp(`^https://monitor\\.azure\\.com/* ${identityClientId}$`));
    }
  });

  test('sends the spans of a run as one tree, whichever functions it goes through', () => {
    const runs = [first, second, ...idle, added];
    for (const run of runs) {
      expect(run.phase).toBe('complete');
      const all = ofTrace(traceOf(run));
      const ids = new Set(all.map(idOf));
      expect(ids.size).toBe(all.length);
      const roots = all.filter((span) => parentOf(span) === undefined);
      expect(roots.map(nameOf)).toEqual(['Sync run']);
      expect(all.filter((span) => !ids.has(parentOf(span) ?? '') && !roots.includes(span))).toEqual([]);
      const names = all.map(nameOf);
      // The library has an instrumenter of its own for the Azure SDK, and is loaded by the time of the second run.
      for (const name of ['Start run', 'Blob put runs/{id}/run.json']) expect(names).toContain(name);
      expect(roots[0]!.data.baseData.properties?.['sync.run_id']).toBe(run.runId);
    }
    expect(new Set(runs.map(traceOf)).size).toBe(runs.length);
  });

  test('sends a span for each function of a run', () => {
    const isFunction = (name: string) => /^(?:Start run|planRun|fetchEntity|mergeRound)/.test(name);
    const functionsOf = (run: RunStatus) => [
      ...new Set(ofTrace(traceOf(run)).map(nameOf).filter(isFunction)),
    ];
    const all = entities.map((entity) => (typeof entity === 'string' ? entity : entity.name));
    const fetches = all.map((name) => `fetchEntity ${name}`);
    expect(functionsOf(first).sort()).toEqual([...fetches, 'Start run', 'mergeRound', 'planRun'].sort());
    // The timer has read the other tables. Of the one that failed, it leaves the rest to the queue.
    expect(functionsOf(second).sort()).toEqual(['Start run', 'fetchEntity contact', 'mergeRound']);
    expect(idle.map(functionsOf)).toEqual([['Start run'], ['Start run', 'planRun']]);
    expect(functionsOf(added).sort()).toEqual(['Start run', 'fetchEntity team', 'mergeRound', 'planRun']);
    for (const run of [first, second, added]) {
      expect(ofTrace(traceOf(run)).map(nameOf)).toContain('Queue send first-fetch');
    }
    // What a function reads is below its span.
    const readers = [first, second, ...idle].map((run) => {
      const spansOf = ofTrace(traceOf(run));
      const page = spansOf.find((span) => nameOf(span) === 'Dataverse GET accounts delta page')!;
      return nameOf(spansOf.find((span) => idOf(span) === parentOf(page))!);
    });
    expect(readers).toEqual(['fetchEntity account', 'Start run', 'Start run', 'planRun']);
  });

  test('names dependencies by table and operation', () => {
    const names = new Set(ofTrace(traceOf(first)).map(nameOf));
    for (const name of [
      'Dataverse GET accounts delta page',
      'Blob commit blocks of dataverse.db',
      'Queue send first-fetch',
      'Blob put runs/{id}/rounds/{id}/account/slices/{id}.json',
    ]) {
      expect([...names].sort()).toContain(name);
    }
    const failed = ofTrace(traceOf(second)).filter(({ data }) => data.baseData.resultCode === '503');
    expect(failed.map(nameOf)).toEqual(['Dataverse GET contacts delta page']);
    expect(failed[0]!.data.baseData.success).toBe(false);
  });

  test('sends only names of the table of names', () => {
    for (const { data } of ingestion.of('Event')) {
      const event = events[data.baseData.name as keyof typeof events];
      expect(event, data.baseData.name).toBeDefined();
      expect(event.properties).toEqual(expect.arrayContaining(Object.keys(data.baseData.properties ?? {})));
      expect(event.figures).toEqual(expect.arrayContaining(Object.keys(data.baseData.measurements ?? {})));
    }
    for (const { data } of ingestion.of('Metric')) {
      for (const { name } of data.baseData.metrics ?? []) {
        const metric = metrics[name as keyof typeof metrics];
        expect(metric, name).toBeDefined();
        expect(Object.keys(data.baseData.properties ?? {}).sort()).toEqual([...metric.dimensions].sort());
      }
    }
    const begins = Object.keys(spans).map((name) => name.replace(' …', ''));
    const all = [...ingestion.of('Request'), ...ingestion.of('RemoteDependency')];
    for (const name of all.map(nameOf)) {
      expect(
        begins.some((begin) => name === begin || name.startsWith(`${begin} `)),
        name,
      ).toBe(true);
    }
  });

  test('sends the event of each run once, with its figures', () => {
    const ended = ingestion.events('RunEnded');
    const runs = [first, second, ...idle, added];
    expect(ended.map(({ properties }) => properties?.['runId'])).toEqual(runs.map(({ runId }) => runId));
    const triggers = ['timer', 'timer', 'timer', 'http', 'http'];
    expect(ended.map(({ properties }) => properties?.['trigger'])).toEqual(triggers);
    expect(ended.map(({ measurements }) => measurements?.['retries'])).toEqual([0, 1, 0, 0, 0]);
    const [one] = ended;
    expect(one!.properties).toMatchObject({ phase: 'complete', trigger: 'timer' });
    expect(one!.measurements).toMatchObject({ entities: 5, failed: 0, added: expect.any(Number) });
    expect(one!.measurements!['added']).toBeGreaterThan(0);
    expect(one!.measurements!['databaseBytes']).toBeGreaterThan(0);
  });

  test('sends metrics with dimensions', () => {
    const rows = ingestion.metrics('sync.rows');
    const added = rows.find(({ dimensions: { table, change } }) => table === 'account' && change === 'added');
    const { added: expected } = first.entities!.find(({ name }) => name === 'account')!;
    expect(added).toEqual({
      value: expected,
      dimensions: { table: 'account', strategy: 'delta', change: 'added' },
    });
    const lags = ingestion.metrics('sync.lagSeconds').map(({ dimensions }) => dimensions['table']);
    expect(lags).toEqual(expect.arrayContaining(['account', 'contact', 'systemuser']));
    expect(ingestion.metrics('sync.retries')).toContainEqual({
      value: 1,
      dimensions: { table: 'contact', strategy: 'delta' },
    });
    expect(
      ingestion.metrics('campaignMetrics.written').map(({ dimensions }) => dimensions['outcome']),
    ).toContain('written');
    expect(ingestion.metrics('campaignMetrics.queued').some(({ value }) => value > 0)).toBe(true);
  });

  test('links the drain of queued metrics to the request that queued them', () => {
    const drains = ingestion.of('RemoteDependency').filter((span) => nameOf(span) === 'campaignMetricsWrite');
    const links = drains.map(({ data }) => data.baseData.properties?.['_MS.links'] ?? '[]');
    const linked = links.flatMap((text) => JSON.parse(text) as { operation_Id: string; id: string }[]);
    expect(linked.length).toBeGreaterThan(0);
    // The request that queued the record has dependencies in the trace that the link names.
    const ids = new Set(ingestion.of('RemoteDependency').map(({ tags }) => tags['ai.operation.id']));
    expect(linked.some(({ operation_Id }) => ids.has(operation_Id))).toBe(true);
  });

  test('sends no secret, no value of a row and no query', () => {
    const text = ingestion.bodies.join('\n');
    const key = /AccountKey=([^;]+)/.exec(azurite.connectionString)![1]!;
    for (const secret of [
      ...Object.values(markers),
      key,
      ingestionToken,
      '$select',
      '$filter',
      'sig=',
      'skiptoken',
    ]) {
      expect(text.includes(secret), secret).toBe(false);
    }
  });

  test('sends nothing twice', () => {
    const all = ingestion.envelopes.map(({ data, tags, time }) => JSON.stringify([data, tags, time]));
    expect(new Set(all).size).toBe(all.length);
    // The host sends requests and log lines.
    expect(ingestion.of('Message')).toEqual([]);
    expect(new Set(ingestion.of('Request').map(nameOf))).toEqual(new Set(['Sync run']));
  });
});

const refusals = (app: AppProcess) =>
  app.log.filter(({ message }) => message.includes('does not accept telemetry'));

describe('an app that Application Insights refuses', () => {
  beforeAll(() => configure(['account']));

  test.each([
    ['with a wrong token', 401],
    ['without the role', 403],
  ])('%s syncs as before, and says so once', async (_, status) => {
    const refusing = await IngestionEndpoint.start();
    const startedAt = performance.now();
    try {
      if (status === 401) refusing.token = 'a-token-of-somebody-else';
      else refusing.refuses = () => status;
      const app = await startApp(settingsOf(`refused-${status}`, refusing.settings));
      expect((await app.sync()).phase).toBe('complete');
      await until(() => refusals(app).length > 0);
      expect((await app.sync()).phase).toBe('complete');
      await delay(1_500);
      // The pauses are 30 seconds, then twice as long each time, however long the syncs take here.
      const passed = (performance.now() - startedAt) / 1000;
      expect(new Set(refusing.statuses)).toEqual(new Set([status]));
      expect(refusing.statuses.length).toBeLessThanOrEqual(1 + Math.log2(passed / 30 + 1));
      expect(refusals(app)).toHaveLength(1);
      expect(refusals(app)[0]!.message).toContain('Monitoring Metrics Publisher');
      expect(app.log.map(({ message }) => message).join()).not.toContain(refusing.token);
      await app.stop();
    } finally {
      await refusing.stop();
    }
  });
});

test('an app that cannot reach Application Insights syncs as before, and says so once', async () => {
  const connection = 'InstrumentationKey=00000000-0000-0000-0000-000000000001';
  const offline = {
    APPLICATIONINSIGHTS_CONNECTION_STRING: `${connection};IngestionEndpoint=https://127.0.0.1:1/`,
  };
  const app = await startApp(settingsOf('offline', offline));
  expect((await app.sync()).phase).toBe('complete');
  await until(() => refusals(app).length > 0);
  expect((await app.sync()).phase).toBe('complete');
  await delay(1_500);
  expect(refusals(app)).toHaveLength(1);
  expect(refusals(app)[0]!.message).toContain('ECONNREFUSED');
  await app.stop();
});

async function until(condition: () => unknown): Promise<void> {
  while (!(await condition())) await delay(50);
}
