import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { events, metrics } from '../../src/telemetry/names.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

const alerts = read('infra/modules/alerts.bicep');
const runbook = read('docs/runbook.md');
const workbook = JSON.parse(read('infra/workbook.json')) as { items: { content: { query?: string } }[] };

const alertQueries = [...alerts.matchAll(/query: '''([\s\S]*?)'''/g)].map(([, query]) => query!.trim());
const workbookQueries = workbook.items.flatMap(({ content: { query } }) =>
  query === undefined ? [] : [query],
);

/** The names that a query compares with, and the fields that it reads of each. */
function usesOf(query: string): { names: string[]; dimensions: string[]; measurements: string[] } {
  const names = [...query.matchAll(/\bname (?:==|in) \(?("[^)\n]*?")(?=\)|\s|$)/g)]
    .flatMap(([, list]) => list!.split(','))
    .map((name) => name.trim().replaceAll('"', ''));
  const fields = (of: string) =>
    [...query.matchAll(new RegExp(`\\b${of}\\.(\\w+)`, 'g'))].map(([, name]) => name!);
  return { names, dimensions: fields('customDimensions'), measurements: fields('customMeasurements') };
}

/** What a query asks for that the app does not send. */
function absentFrom(query: string): string[] {
  const { names, dimensions, measurements } = usesOf(query);
  return names.flatMap((name) => {
    const event = events[name as keyof typeof events];
    const metric = metrics[name as keyof typeof metrics];
    const table = event === undefined ? 'customMetrics' : 'customEvents';
    if (event === undefined && metric === undefined) return [name];
    const properties: readonly string[] = event?.properties ?? metric.dimensions;
    const figures: readonly string[] = event?.figures ?? [];
    return [
      ...(query.includes(table) ? [] : [`${name} is not in ${table}`]),
      // A query over several names may read what only some of them have.
      ...(names.length > 1 ? [] : dimensions.filter((field) => !properties.includes(field))),
      ...(names.length > 1 ? [] : measurements.filter((field) => !figures.includes(field))),
    ];
  });
}

test('the check finds what is absent', () => {
  expect(absentFrom('customEvents | where name == "RunStopped"')).toEqual(['RunStopped']);
  expect(absentFrom('customEvents | where name == "RunEnded" and customDimensions.state == "x"')).toEqual([
    'state',
  ]);
  expect(absentFrom('customMetrics | where name in ("sync.rows", "sync.row")')).toEqual(['sync.row']);
  expect(absentFrom('customMetrics | where name == "RunEnded"')).toEqual(['RunEnded is not in customEvents']);
});

describe.each([
  ['alert', alertQueries],
  ['workbook', workbookQueries],
])('every query of the %s', (kind, queries) => {
  test.each(queries)('%s', (query) => {
    expect(absentFrom(query)).toEqual([]);
    const { names, dimensions } = usesOf(query);
    expect(names.length + dimensions.length > 0 || kind === 'workbook').toBe(true);
  });
});

test('all queries were found', () => {
  expect(alertQueries).toHaveLength(alerts.match(/\bquery: '''/g)!.length);
  expect(alertQueries.length).toBeGreaterThanOrEqual(9);
  expect(workbookQueries.length).toBeGreaterThanOrEqual(12);
});

test('every alert has its section in the runbook, and every section its alert', () => {
  const names = [...alerts.matchAll(/^ {4}name: '([a-z-]+)'/gm)].map(([, name]) => name!);
  const sections = [...runbook.matchAll(/^## (.+)$/gm)].map(([, title]) => title!);
  expect(sections.sort()).toEqual([...names, 'account-unavailable'].sort());
  expect(alerts).toMatch(/\$\{runbookUrl\}#\$\{rule\.name\}/);
  expect(alerts).toMatch(/\$\{runbookUrl\}#account-unavailable/);
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
