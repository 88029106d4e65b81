import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isTransient, normalizeCode } from '../../../src/dataverse/errors/fault-codes.ts';
import {
  parseDopHint,
  parseHeaderNumber,
  parseRetryAfter,
} from '../../../src/dataverse/errors/rate-limit-headers.ts';
import { defaultRetryOptions, retryDelay } from '../../../src/dataverse/transport/retry.ts';

const failed = fc.record({
  tries: fc.integer({ min: 1, max: 12 }),
  elapsedSeconds: fc.double({ min: 0, max: 300, noNaN: true }),
  transient: fc.boolean(),
  maybeDone: fc.boolean(),
  idempotent: fc.boolean(),
  retryAfterSeconds: fc.option(fc.double({ min: 0, max: 400, noNaN: true }), { nil: undefined }),
});

test('never waits less than Retry-After or beyond the total time, and never repeats an unsafe request', () => {
  fc.assert(
    fc.property(failed, fc.double({ min: 0, max: 0.999, noNaN: true }), (state, random) => {
      const wait = retryDelay(state, defaultRetryOptions, random);
      if (wait === undefined) return;
      expect(state.transient).toBe(true);
      expect(state.maybeDone && !state.idempotent).toBe(false);
      expect(state.tries).toBeLessThan(defaultRetryOptions.maxTries);
      expect(state.elapsedSeconds + wait).toBeLessThanOrEqual(defaultRetryOptions.maxTotalSeconds);
      expect(wait).toBeGreaterThanOrEqual(state.retryAfterSeconds ?? 0);
      if (state.retryAfterSeconds !== undefined)
        expect(wait).toBeLessThanOrEqual(state.retryAfterSeconds + 0.25);
    }),
  );
});

test('doubles the wait, with jitter, up to its limit', () => {
  const state = { elapsedSeconds: 0, transient: true, maybeDone: false, idempotent: true };
  const waits = [1, 2, 3, 4].map((tries) => retryDelay({ ...state, tries }, defaultRetryOptions, 0));
  expect(waits).toEqual([0.5, 1, 2, 4]);
  expect(retryDelay({ ...state, tries: 9 }, defaultRetryOptions, 1 - Number.EPSILON)).toBeLessThanOrEqual(60);
});

test.each([
  ['120', undefined, 120],
  ['1.5', undefined, 1.5],
  ['Sat, 21 Nov 2026 10:00:30 GMT', 'Sat, 21 Nov 2026 10:00:00 GMT', 30],
  ['Sat, 21 Nov 2026 10:00:30 GMT', 'Sat, 21 Nov 2026 10:01:00 GMT', 0],
  ['-5', undefined, undefined],
  ['soon', undefined, undefined],
  ['', undefined, undefined],
  [undefined, undefined, undefined],
])('parses Retry-After %s at %s as %s seconds', (value, date, seconds) => {
  expect(parseRetryAfter(value, date)).toBe(seconds);
});

test('parses numbers in headers with separators and decimals', () => {
  expect(parseHeaderNumber('1,200.00')).toBe(1200);
  expect(parseHeaderNumber('5999')).toBe(5999);
  expect(parseHeaderNumber('1e3')).toBeUndefined();
  expect(parseDopHint('0')).toBe(1);
  expect(parseDopHint('48')).toBe(48);
  expect(parseDopHint('many')).toBeUndefined();
});

test('normalizes codes of either notation, and recognizes transient ones', () => {
  expect(normalizeCode('-2147015902')).toBe('0x80072322');
  expect(normalizeCode(-2147204783)).toBe('0x80044151');
  expect(normalizeCode('0x8006088A')).toBe('0x8006088a');
  expect(normalizeCode('')).toBeUndefined();
  expect(normalizeCode('0x0')).toBeUndefined();
  expect(isTransient(400, '0x80044151', '')).toBe(true);
  expect(isTransient(500, undefined, 'Sql Number: 1205 deadlocked')).toBe(true);
  expect(isTransient(500, undefined, 'Sql Number: 12051')).toBe(false);
  expect(isTransient(504, undefined, '')).toBe(true);
  expect(isTransient(400, '0x80060888', '')).toBe(false);
});
