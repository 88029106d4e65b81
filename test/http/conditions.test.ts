import { expect, test } from 'vitest';
import { checkConditions, meetsIfRange } from '../../src/http/conditions.ts';

const state = { etag: '"0x8DE"', lastModified: new Date('2026-11-20T12:00:00.900Z') };
const [before, at, after] = [11, 12, 13].map((hour) => `Fri, 20 Nov 2026 ${hour}:00:00 GMT`) as [
  string,
  string,
  string,
];

test.each<[Record<string, string>, string]>([
  [{}, 'met'],
  [{ 'if-match': '"0x8DE"' }, 'met'],
  [{ 'if-match': '*' }, 'met'],
  [{ 'if-match': '"a", "0x8DE"' }, 'met'],
  [{ 'if-match': '"a"' }, 'failed'],
  [{ 'if-match': '0x8DE' }, 'failed'],
  // A weak ETag does not prove that the bytes are the same.
  [{ 'if-match': 'W/"0x8DE"' }, 'failed'],
  [{ 'if-match': '' }, 'failed'],
  [{ 'if-unmodified-since': before }, 'failed'],
  [{ 'if-unmodified-since': at }, 'met'],
  [{ 'if-unmodified-since': 'yesterday' }, 'met'],
  [{ 'if-match': '"0x8DE"', 'if-unmodified-since': before }, 'met'],
  [{ 'if-none-match': '"0x8DE"' }, 'unchanged'],
  [{ 'if-none-match': 'W/"0x8DE"' }, 'unchanged'],
  [{ 'if-none-match': '*' }, 'unchanged'],
  [{ 'if-none-match': '"a", "0x8DE"' }, 'unchanged'],
  [{ 'if-none-match': '"a"' }, 'met'],
  [{ 'if-modified-since': before }, 'met'],
  [{ 'if-modified-since': at }, 'unchanged'],
  [{ 'if-modified-since': after }, 'unchanged'],
  [{ 'if-modified-since': 'yesterday' }, 'met'],
  // JavaScript would read a date from these.
  [{ 'if-modified-since': 'banana 3000' }, 'met'],
  [{ 'if-modified-since': '2099-01-01' }, 'met'],
  [{ 'if-unmodified-since': 'version 5' }, 'met'],
  [{ 'if-none-match': '"a"', 'if-modified-since': after }, 'met'],
  [{ 'if-match': '"a"', 'if-none-match': '"0x8DE"' }, 'failed'],
])('%j: %s', (headers, expected) => {
  expect(checkConditions(new Headers(headers), state)).toBe(expected);
});

test('a range counts only for the state that If-Range names', () => {
  const meets = (ifRange?: string) =>
    meetsIfRange(new Headers(ifRange === undefined ? {} : { 'if-range': ifRange }), state);
  expect([meets(), meets('"0x8DE"')]).toEqual([true, true]);
  expect([meets('"a"'), meets('W/"0x8DE"'), meets(at), meets(after)]).toEqual([false, false, false, false]);
});
