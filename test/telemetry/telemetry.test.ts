import { expect, test } from 'vitest';
import type { MonitorClient, MonitorEvent } from '../../src/telemetry/monitor-client.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';

test('lines, events and metrics name the environment, if there is one', () => {
  const lines: string[] = [];
  const events: MonitorEvent[] = [];
  const points: unknown[] = [];
  const monitor: MonitorClient = {
    trackEvent: (event) => events.push(event),
    trackMetric: (name, value, dimensions) => points.push([name, value, dimensions]),
    trackSpan: () => undefined,
    flush: async () => undefined,
  };
  for (const environment of [undefined, 'sales']) {
    const telemetry = createTelemetry(
      () => (_, line) => lines.push(line),
      () => monitor,
      { environment },
    );
    telemetry.log('info', 'A line.', { table: 'account' });
    telemetry.event('RunResumed', { runId: 'r' }, { resumptions: 1 });
    telemetry.metric('sync.pages', 2, { table: 'account', strategy: 'delta' });
  }
  expect(lines).toEqual(['A line. {"table":"account"}', 'A line. {"environment":"sales","table":"account"}']);
  expect(events.map(({ properties }) => properties)).toEqual([
    { runId: 'r' },
    { environment: 'sales', runId: 'r' },
  ]);
  expect(points).toEqual([
    ['sync.pages', 2, { table: 'account', strategy: 'delta' }],
    ['sync.pages', 2, { environment: 'sales', table: 'account', strategy: 'delta' }],
  ]);
});
