import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test, vi } from 'vitest';
import { createMonitor } from '../../src/telemetry/monitor.ts';
import type { MonitorClient } from '../../src/telemetry/telemetry.ts';

const connectionString = 'InstrumentationKey=00000000-0000-0000-0000-000000000000';
const env = { APPLICATIONINSIGHTS_CONNECTION_STRING: connectionString };
type Event = Parameters<MonitorClient['trackEvent']>[0];

test('there is no monitor without a connection string', () => {
  expect(createMonitor({})).toBeUndefined();
  expect(createMonitor({ APPLICATIONINSIGHTS_CONNECTION_STRING: ' ' })).toBeUndefined();
});

test('loads with the first event, once, and sends all events in order', async () => {
  const sent: Event[] = [];
  const loads: string[] = [];
  const monitor = createMonitor(env, async (text) => {
    loads.push(text);
    return { trackEvent: (event) => void sent.push(event) };
  })!;
  expect(loads).toEqual([]);
  for (const name of ['A', 'B', 'C']) monitor.trackEvent({ name });
  await vi.waitFor(() => expect(sent.map(({ name }) => name)).toEqual(['A', 'B', 'C']));
  expect(loads).toEqual([connectionString]);
});

test('a monitor that cannot be loaded is logged once, without the connection string', async () => {
  const logged = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const monitor = createMonitor(env, () => Promise.reject(new Error(`not valid: ${connectionString}`)))!;
  for (const name of ['A', 'B']) monitor.trackEvent({ name });
  await vi.waitFor(() => expect(logged).toHaveBeenCalled());
  expect(logged.mock.calls.join()).toContain('APPLICATIONINSIGHTS_CONNECTION_STRING');
  expect(logged.mock.calls.join()).not.toContain('InstrumentationKey');
  expect(logged).toHaveBeenCalledTimes(1);
  logged.mockRestore();
});

/** Runs a script in a process that has loaded the built app, and returns how many modules of the SDK are loaded after it. */
function modulesAfter(script: string): number {
  const text = `
    import { registerHooks } from 'node:module';
    let count = 0;
    registerHooks({ load(url, context, next) {
      if (/applicationinsights|opentelemetry/.test(url)) count += 1;
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

test('the built app loads the SDK with its first event, and not before', () => {
  expect(modulesAfter(`telemetry.log('info', 'started');`)).toBe(0);
  const used = `
    telemetry.event('RunEnded', { runId: 'r' }, { rows: 1 });
    while (count === 0) await new Promise((resolve) => setTimeout(resolve, 20));`;
  expect(modulesAfter(used)).toBeGreaterThan(0);
});
