import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { events, metrics, spans } from '../../src/telemetry/names.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/telemetry.md'), 'utf8');

/** The rows of the table whose first column has this title, with their cells. */
function tableOf(title: string): string[][] {
  const lines = page.split('\n');
  const start = lines.findIndex((line) => new RegExp(`^\\| ${title} +\\|`).test(line));
  const length = lines.slice(start).findIndex((line) => !line.startsWith('|'));
  return lines.slice(start + 2, start + length).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const code = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ');

test('the page lists every event', () => {
  const expected = Object.entries(events).map(([name, event]) => [
    code([name]),
    event.when,
    code(event.properties),
    code(event.figures),
  ]);
  expect(tableOf('event')).toEqual(expected);
});

test('the page lists every metric', () => {
  const expected = Object.entries(metrics).map(([name, { what, dimensions }]) => [
    code([name]),
    what,
    code(dimensions),
  ]);
  expect(tableOf('metric')).toEqual(expected);
});

test('the page lists every span', () => {
  expect(tableOf('span')).toEqual(Object.entries(spans).map(([name, what]) => [code([name]), what]));
});

test('names follow one scheme', () => {
  for (const name of Object.keys(events)) expect(name).toMatch(/^(?:[A-Z][a-z]+){2,}$/);
  for (const name of Object.keys(metrics))
    expect(name).toMatch(/^(?:sync|campaignMetrics)\.[a-z]+(?:[A-Z][a-z]+)*$/);
  for (const { dimensions } of Object.values(metrics)) {
    for (const name of dimensions) expect(name).not.toMatch(/id$/i);
  }
});
