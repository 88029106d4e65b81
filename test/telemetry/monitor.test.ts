import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { telemetryIdentity } from '../../src/telemetry/authentication.ts';
import type { Ingestion, IngestionFault } from '../../src/telemetry/ingestion.ts';
import { createMonitor } from '../../src/telemetry/monitor.ts';
import { type Batch, maxWaiting, Outbox } from '../../src/telemetry/outbox.ts';

const connectionString = 'InstrumentationKey=00000000-0000-0000-0000-000000000000';
const env = { APPLICATIONINSIGHTS_CONNECTION_STRING: connectionString };

/** An ingestion that refuses with `fault` while it is set. */
class Recorder implements Ingestion {
  readonly batches: Batch[] = [];
  fault: IngestionFault | undefined;

  async send(batch: Batch) {
    if (this.fault !== undefined) return { rest: batch, fault: this.fault };
    this.batches.push(batch);
    return { rest: { events: [], metrics: [], spans: [] } };
  }

  get events(): string[] {
    return this.batches.flatMap(({ events }) => events.map(({ name }) => name));
  }
}

test('there is no monitor without a connection string', () => {
  expect(createMonitor({})).toBeUndefined();
  expect(createMonitor({ APPLICATIONINSIGHTS_CONNECTION_STRING: ' ' })).toBeUndefined();
});

test('loads with the first batch, once, and sends all events in order', async () => {
  const recorder = new Recorder();
  const loads: string[] = [];
  const monitor = createMonitor(env, async (text) => {
    loads.push(text);
    return recorder;
  })!;
  for (const name of ['A', 'B', 'C']) monitor.trackEvent({ name });
  expect(loads).toEqual([]);
  await Promise.all([monitor.flush(), monitor.flush()]);
  monitor.trackEvent({ name: 'D' });
  await monitor.flush();
  expect(recorder.events).toEqual(['A', 'B', 'C', 'D']);
  expect(recorder.batches).toHaveLength(2);
  expect(loads).toEqual([connectionString]);
});

test('a monitor that cannot be loaded is logged once, without the connection string', async () => {
  const logged = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const monitor = createMonitor(env, () => Promise.reject(new Error(`not valid: ${connectionString}`)))!;
  for (const name of ['A', 'B']) {
    monitor.trackEvent({ name });
    await monitor.flush();
  }
  expect(logged.mock.calls.join()).toContain('APPLICATIONINSIGHTS_CONNECTION_STRING');
  expect(logged.mock.calls.join()).not.toContain('InstrumentationKey');
  expect(logged).toHaveBeenCalledTimes(1);
  logged.mockRestore();
});

describe('while Application Insights refuses', () => {
  const logged = { warn: [] as string[], info: [] as string[] };

  beforeEach(() => {
    vi.useFakeTimers();
    for (const level of ['warn', 'info'] as const) {
      logged[level] = [];
      vi.spyOn(console, level).mockImplementation((line) => void logged[level].push(line));
    }
  });

  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  test.each<[IngestionFault, RegExp]>([
    [{ status: 403, isRetriable: true }, /Monitoring Metrics Publisher/],
    [{ code: 'no token', isRetriable: true }, /APPLICATIONINSIGHTS_AUTHENTICATION_STRING/],
    [{ code: 'ECONNREFUSED', isRetriable: true }, /IngestionEndpoint/],
    [{ status: 439, isRetriable: true }, /daily cap/],
  ])('%j is told once with what to do, the pauses grow, and nothing is lost', async (fault, hint) => {
    const recorder = new Recorder();
    const sends = vi.spyOn(recorder, 'send');
    const monitor = createMonitor(env, async () => recorder)!;
    recorder.fault = fault;
    monitor.trackEvent({ name: 'A' });
    await vi.advanceTimersByTimeAsync(3600_000);
    // After 2, 32, 92, 212, 452 and 932 seconds, then every 15 minutes.
    expect(sends).toHaveBeenCalledTimes(8);
    expect(logged.warn).toHaveLength(1);
    expect(logged.warn[0]).toMatch(hint);
    recorder.fault = undefined;
    monitor.trackEvent({ name: 'B' });
    await vi.advanceTimersByTimeAsync(900_000);
    expect(recorder.events).toEqual(['A', 'B']);
    expect(logged.info).toHaveLength(1);
  });

  test('what waits is sent although the clock is set back, or the timer fires early', async () => {
    const recorder = new Recorder();
    const monitor = createMonitor(env, async () => recorder)!;
    recorder.fault = { status: 503, isRetriable: true };
    monitor.trackEvent({ name: 'A' });
    await vi.advanceTimersByTimeAsync(3_000);
    recorder.fault = undefined;
    vi.setSystemTime(Date.now() - 3600_000);
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() - 1);
    await vi.advanceTimersByTimeAsync(40_000);
    expect(recorder.events).toEqual(['A']);
  });
});

test('all series of a large run are sent; if there are more, the oldest are dropped and the log says so', async () => {
  const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  const recorder = new Recorder();
  const monitor = createMonitor(env, async () => recorder)!;
  const add = (from: number, to: number) => {
    for (let i = from; i < to; i += 1) monitor.trackMetric('sync.rows', 1, { table: `table${i}` });
  };
  add(0, 500 * 11 + 10);
  await monitor.flush();
  expect(recorder.batches[0]!.metrics).toHaveLength(500 * 11 + 10);
  expect(warned).not.toHaveBeenCalled();
  add(0, maxWaiting.metrics);
  // The first series has a new value: the second one is the oldest now.
  add(0, 1);
  add(maxWaiting.metrics, maxWaiting.metrics + 2);
  await monitor.flush();
  const tables = recorder.batches[1]!.metrics.map(({ dimensions }) => dimensions['table']);
  expect(tables).toHaveLength(maxWaiting.metrics);
  expect(tables).toContain('table0');
  expect(tables).not.toContain('table1');
  expect(tables.at(-1)).toBe(`table${maxWaiting.metrics + 1}`);
  monitor.trackEvent({ name: 'A' });
  await monitor.flush();
  expect(warned).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('{"dropped":2}'));
  warned.mockRestore();
});

test('what is put back is older than what has arrived meanwhile', () => {
  const outbox = new Outbox();
  const add = (table: string) =>
    outbox.addMetric({ name: 'm', dimensions: { table }, count: 1, sum: 1, min: 1, max: 1 });
  for (let i = 0; i < maxWaiting.metrics; i += 1) add(`old${i}`);
  const refused = outbox.take();
  add('new');
  outbox.putBack(refused);
  const tables = outbox.take().metrics.map(({ dimensions }) => dimensions['table']);
  expect([tables.length, tables[0], tables.at(-1)]).toEqual([maxWaiting.metrics, 'old1', 'new']);
});

test('the outbox keeps the newest, within its limit, and adds up metrics', () => {
  const outbox = new Outbox();
  const { events } = maxWaiting;
  for (let i = 0; i < events + 5; i += 1) outbox.addEvent({ name: String(i) });
  const point = (value: number) => ({ count: 1, sum: value, min: value, max: value });
  outbox.addMetric({ name: 'm', dimensions: { a: '1', b: '2' }, ...point(3) });
  outbox.addMetric({ name: 'm', dimensions: { b: '2', a: '1' }, ...point(5) });
  const batch = outbox.take();
  expect(outbox.isEmpty).toBe(true);
  expect(batch.events).toHaveLength(events);
  expect(batch.events[0]).toEqual({ name: '5' });
  expect(batch.metrics).toMatchObject([{ count: 2, sum: 8, min: 3, max: 5 }]);
  outbox.addEvent({ name: 'last' });
  outbox.putBack(batch);
  expect(outbox.take().events.at(-1)).toEqual({ name: 'last' });
  expect(outbox.dropped).toBe(6);
});

test.each([
  [undefined, undefined],
  ['', undefined],
  ['Authorization=AAD', { clientId: undefined }],
  ['ClientId=11-22;Authorization=AAD', { clientId: '11-22' }],
  [' authorization = aad ; clientid = 11-22 ;', { clientId: '11-22' }],
  ['Authorization=Key;ClientId=11-22', undefined],
])('the identity in %j is %j', (text, expected) => {
  expect(telemetryIdentity(text)).toEqual(expected);
});

/** Runs a script in a process that has loaded the built app, and returns how many modules of the library are loaded after it. */
function modulesAfter(script: string): number {
  const text = `
    import { registerHooks } from 'node:module';
    let count = 0;
    registerHooks({ load(url, context, next) {
      if (/monitor-opentelemetry|[/]@opentelemetry/.test(url)) count += 1;
      return next(url, context);
    } });
    await import('./dist/index.js');
    await import('./dist/metrics-services.js');
    const { createTelemetry } = await import('./dist/telemetry/telemetry.js');
    const { monitor } = await import('./dist/telemetry/monitor.js');
    const telemetry = createTelemetry(() => () => {}, monitor);
    ${script}
    process.stdout.write(String(count));
    process.exit();`;
  const endpoint = 'IngestionEndpoint=http://127.0.0.1:1/;LiveEndpoint=http://127.0.0.1:1/';
  const options = {
    cwd: resolve(import.meta.dirname, '../..'),
    env: { ...process.env, APPLICATIONINSIGHTS_CONNECTION_STRING: `${connectionString};${endpoint}` },
    encoding: 'utf8' as const,
  };
  return Number(execFileSync(process.execPath, ['--input-type=module', '-e', text], options).trim());
}

test('the built app loads the library with its first batch, and not before', () => {
  const event = `telemetry.event('RunEnded', { runId: 'r' }, { rows: 1 });`;
  expect(modulesAfter(`telemetry.log('info', 'started'); ${event}`)).toBe(0);
  expect(modulesAfter(`${event} await monitor().flush();`)).toBeGreaterThan(0);
});
