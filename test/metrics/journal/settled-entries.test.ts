import { expect, test } from 'vitest';
import type { PlacedEntry } from '../../../src/metrics/journal/journal-entry.ts';
import { openEntries, settledText } from '../../../src/metrics/journal/settled-entries.ts';

const from = { generation: 3, offset: 2048 };
const entries = Array.from({ length: 4000 }, (_, n) => ({ id: `row-${n}` }) as PlacedEntry);
const open = (settled: string, at = from) => openEntries(at, settled, entries).map(({ id }) => id);

test('tells which entries of a window are settled', () => {
  const settled = entries.map((_, n) => n % 3 === 1);
  const text = settledText(from, settled);
  expect(open(text)).toEqual(entries.filter((_, n) => !settled[n]).map(({ id }) => id));
  // Metadata of a blob: 8 KB in all, in ASCII.
  expect(text).toMatch(/^[\x21-\x7e]{1,1000}$/);
});

test('entries behind the known ones are open', () => {
  expect(open(settledText(from, [false, true, true]))).toEqual(
    entries.filter((_, n) => n !== 1 && n !== 2).map(({ id }) => id),
  );
});

test('says nothing about another position, or if nothing is settled', () => {
  const all = entries.map(({ id }) => id);
  const text = settledText(from, [false, true]);
  expect(open(text, { generation: 3, offset: 4096 })).toEqual(all);
  expect(open(text, { generation: 4, offset: 2048 })).toEqual(all);
  expect(settledText(from, [false, false])).toBe('');
  expect(open('')).toEqual(all);
});
