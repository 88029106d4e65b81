import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EndedSpan, MetricPoint, MonitorEvent } from '../../src/telemetry/monitor-client.ts';
import type { Batch } from '../../src/telemetry/outbox.ts';
import { newSpanId, newTraceId } from '../../src/telemetry/traceparent.ts';
import { compileCache } from '../compile-cache.ts';
import { IngestionEndpoint } from './ingestion-endpoint.ts';

let endpoint: IngestionEndpoint;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batches-'));
  endpoint = await IngestionEndpoint.start();
  endpoint.isSigned = () => true;
});
afterAll(async () => {
  await endpoint.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  endpoint.envelopes.length = 0;
  endpoint.statuses.length = 0;
  endpoint.refuses = () => undefined;
});

interface Sent {
  answers: { fault?: { status?: number; isRetriable: boolean }; rest: Record<keyof Batch, number> }[];
  changed: string[];
  isAgentThere: boolean;
}

/** Sends batches one after the other, in a process of their own. */
async function send(batches: Batch[], env: Record<string, string> = {}): Promise<Sent & { printed: string }> {
  const file = join(folder, 'batches.json');
  await writeFile(file, JSON.stringify(batches));
  const args = [join(import.meta.dirname, 'send-batches.ts'), file];
  const own = { ...compileCache, PATH: process.env['PATH'] };
  const options = { env: { ...own, ...endpoint.settings, ...env } as NodeJS.ProcessEnv };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, options);
  const at = stdout.lastIndexOf('{"answers"');
  return { ...(JSON.parse(stdout.slice(at)) as Sent), printed: stdout.slice(0, at) + stderr };
}

const traceId = newTraceId();
const root = newSpanId();
const startedAt = Date.UTC(2026, 10, 21, 1, 2, 3) + 0.25;
const spanOf = (spanId: string, parentId?: string): EndedSpan => ({
  name: 'planRun',
  kind: parentId === undefined ? 'server' : 'internal',
  context: { traceId, spanId },
  ...(parentId !== undefined && { parentId }),
  startedAt,
  endedAt: startedAt + 1500.5,
  attributes: { 'sync.run_id': 'r' },
  links: [],
  isError: parentId === undefined,
});
const eventOf = (index: number): MonitorEvent => ({
  name: 'SliceFetched',
  properties: { table: `t${index}` },
  measurements: { rowsRead: index },
  at: startedAt,
  span: { traceId, spanId: root },
});
const point: MetricPoint = {
  name: 'sync.rows',
  dimensions: { table: 'account', change: 'added' },
  count: 5,
  sum: 20,
  min: 1,
  max: 10,
};
const batch: Batch = { events: [eventOf(1)], metrics: [point], spans: [spanOf(root)] };
const nothing = { events: 0, metrics: 0, spans: 0 };

test('ids, times, figures and dimensions arrive as they were given', async () => {
  const child = newSpanId();
  const spans = [spanOf(child, root), spanOf(root)];
  const single = { ...point, name: 'sync.pages', count: 1, sum: 7, min: 7, max: 7 };
  const { answers } = await send([{ ...batch, metrics: [point, single], spans }]);
  expect(answers).toEqual([{ rest: nothing }]);

  const [request] = endpoint.of('Request');
  expect(request!.time).toBe(new Date(startedAt).toISOString());
  expect(request!.tags).toMatchObject({
    'ai.operation.id': traceId,
    'ai.cloud.role': 'dataverse-sqlite-sync',
  });
  expect(request!.tags['ai.operation.parentId']).toBeUndefined();
  expect(request!.data.baseData).toMatchObject({ id: root, duration: '00:00:01.5005', success: false });
  const [dependency] = endpoint.of('RemoteDependency');
  expect(dependency!.data.baseData).toMatchObject({ id: child, name: 'planRun', success: true });
  expect(dependency!.tags).toMatchObject({ 'ai.operation.id': traceId, 'ai.operation.parentId': root });

  const [event] = endpoint.of('Event');
  expect(event!.time).toBe(new Date(startedAt).toISOString());
  expect(event!.data.baseData).toMatchObject({
    name: 'SliceFetched',
    properties: { table: 't1' },
    measurements: { rowsRead: 1 },
  });
  expect(event!.tags).toMatchObject({ 'ai.operation.id': traceId, 'ai.operation.parentId': root });

  const metrics = endpoint.of('Metric').map(({ data }) => data.baseData);
  expect(metrics).toMatchObject([
    { metrics: [{ name: 'sync.rows', count: 5, value: 20, min: 1, max: 10 }], properties: point.dimensions },
    { metrics: [{ name: 'sync.pages', count: 1, value: 7, min: 7, max: 7 }] },
  ]);
});

test('what was refused is given back, and sent once when it is accepted', async () => {
  // The first request of the first batch, and the second of the second one.
  let requests = 0;
  endpoint.refuses = () => ([1, 3].includes(++requests) ? 503 : undefined);
  const { answers } = await send([batch, batch, { ...batch, events: [] }]);
  expect(answers).toMatchObject([
    { fault: { status: 503, isRetriable: true }, rest: { events: 1, metrics: 1, spans: 1 } },
    { fault: { status: 503, isRetriable: true }, rest: { events: 0, metrics: 1, spans: 1 } },
    { rest: nothing },
  ]);
  expect(endpoint.statuses).toEqual([503, 200, 503, 200, 200]);
  expect(endpoint.envelopes).toHaveLength(3);
  // The second batch's values are not added to what the library remembers of the first one.
  const [metric] = endpoint.of('Metric');
  expect(metric!.data.baseData.metrics).toMatchObject([{ count: 5, value: 20 }]);
});

test('what is refused for ever is dropped', async () => {
  endpoint.refuses = () => 400;
  const { answers } = await send([batch]);
  expect(answers).toMatchObject([{ fault: { status: 400, isRetriable: false }, rest: nothing }]);
});

test('more than the library takes at once is sent in parts, completely', async () => {
  const spans = Array.from({ length: 2600 }, () => spanOf(newSpanId(), root));
  const events = Array.from({ length: 1000 }, (_, index) => eventOf(index));
  const dimensions = (index: number) => ({ table: `t${index}` });
  const metrics = Array.from({ length: 1100 }, (_, index) => ({ ...point, dimensions: dimensions(index) }));
  endpoint.refuses = () => (endpoint.statuses.length === 6 ? 503 : undefined);
  const { answers } = await send([{ events, metrics, spans: spans.slice(0, 1600) }]);
  // Two requests with events, three with metrics, one with spans; the next one is refused, and the others wait.
  expect(endpoint.statuses).toEqual([200, 200, 200, 200, 200, 200, 503]);
  expect(answers).toMatchObject([{ fault: { status: 503 }, rest: { ...nothing, spans: 1100 } }]);
  expect(endpoint.of('Event')).toHaveLength(1000);
  expect(new Set(endpoint.of('Metric').map(({ data }) => data.baseData.properties?.['table'])).size).toBe(
    1100,
  );
  expect(endpoint.of('RemoteDependency')).toHaveLength(500);
});

test('variables for the host and an agent of the platform change nothing, and are left alone', async () => {
  const { answers, changed, isAgentThere, printed } = await send([batch], {
    OTEL_TRACES_SAMPLER: 'always_off',
    OTEL_SDK_DISABLED: 'true',
    OTEL_SERVICE_NAME: 'of-the-host',
    OTEL_LOG_LEVEL: 'DEBUG',
    OTEL_BSP_MAX_QUEUE_SIZE: '1',
    APPLICATIONINSIGHTS_CONFIGURATION_CONTENT: '{"enableLiveMetrics":true,"samplingRatio":0}',
    APPLICATIONINSIGHTS_INSTRUMENTATION_LOGGING_LEVEL: 'VERBOSE',
    WEBSITE_SITE_NAME: 'app-1',
    WEBSITE_INSTANCE_ID: 'instance-1',
  });
  expect(answers).toEqual([{ rest: nothing }]);
  expect(endpoint.envelopes).toHaveLength(3);
  for (const { tags } of endpoint.envelopes) {
    expect(tags).toMatchObject({ 'ai.cloud.role': 'app-1', 'ai.cloud.roleInstance': 'instance-1' });
  }
  expect(changed).toEqual([]);
  expect(isAgentThere).toBe(true);
  expect(printed).toBe('');
});
