import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { events, metrics } from '../../src/telemetry/names.ts';
import { at, plan, variants } from '../infra/infrastructure.ts';
import { logAlertsOf } from '../infra/rules/monitoring.ts';
import { absentFrom, untypedIn, usesOf } from './queries.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** What `azd up` deploys. */
const planned = plan(variants[0]!);
const alerts = logAlertsOf(planned);
const workbook = JSON.parse(
  String(at(planned.one('Microsoft.Insights/workbooks'), 'properties.serializedData')),
) as { items: { content: { query?: string } }[] };

const alertQueries = alerts.map(({ query }) => query);
const workbookQueries = workbook.items.flatMap(({ content: { query } }) =>
  query === undefined ? [] : [query],
);

test('the check finds what is absent, and fields without a type', () => {
  expect(absentFrom('customEvents | where name == "RunStopped"')).toEqual(['RunStopped']);
  expect(absentFrom('customEvents | where name == "RunEnded" and customDimensions.state == "x"')).toEqual([
    'state',
  ]);
  expect(absentFrom('customMetrics | where name in ("sync.rows", "sync.row")')).toEqual(['sync.row']);
  expect(absentFrom('customMetrics | where name == "RunEnded"')).toEqual(['RunEnded is not in customEvents']);
  expect(
    untypedIn('tostring(customDimensions.a), customDimensions.b, tostring(customMeasurements.c)'),
  ).toEqual(['b', 'c']);
});

describe.each([
  ['alert', alertQueries],
  ['workbook', workbookQueries],
])('every query of the %s', (kind, queries) => {
  test.each(queries)('%s', (query) => {
    expect(absentFrom(query)).toEqual([]);
    expect(untypedIn(query)).toEqual([]);
    const { names, dimensions } = usesOf(query);
    expect(names.length + dimensions.length > 0 || kind === 'workbook').toBe(true);
  });
});

test('all queries were found', () => {
  expect(alertQueries).toHaveLength(10);
  expect(workbookQueries.length).toBeGreaterThanOrEqual(12);
});

test('every alert has its section in the runbook, and every section its alert', () => {
  const ofAccounts = planned
    .all('Microsoft.Insights/metricAlerts')
    .map((alert) => String(at(alert, 'properties.description')).split('#')[1]!);
  const sections = [...read('docs/runbook.md').matchAll(/^## (.+)$/gm)].map(([, title]) => title!);
  expect(sections.sort()).toEqual(
    [...new Set([...alerts.map(({ section }) => section), ...ofAccounts])].sort(),
  );
});

test('the code sends every event and metric of the table', () => {
  const source = globSync('src/**/*.ts', { cwd: root })
    .filter((path) => !path.endsWith('telemetry/names.ts'))
    .map(read)
    .join('\n');
  for (const name of Object.keys(events))
    expect(source, name).toMatch(new RegExp(`\\.event\\(\\s*'${name}'`));
  for (const name of Object.keys(metrics)) expect(source, name).toContain(`'${name}'`);
});
