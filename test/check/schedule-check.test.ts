import { expect, test } from 'vitest';
import { checkSchedule } from '../../src/check/schedule-check.ts';

const now = new Date('2026-11-26T12:00:00Z');

test('names the next runs', () => {
  const { ok, detail } = checkSchedule('0 */15 * * * *', now);
  expect(ok).toBe(true);
  expect(detail).toContain('2026-11-26T12:15:00.000Z, 2026-11-26T12:30:00.000Z');
});

test('more than one run a minute is a fault', () => {
  expect(checkSchedule('*/10 * * * * *', now)).toMatchObject({ ok: false });
});

test('a schedule that only the host can read is none', () => {
  const { ok, hint } = checkSchedule('0 0 22-2 * * *', now);
  expect(ok).toBe(true);
  expect(hint).toContain('22-2');
});

test('a schedule that nobody can read is an error', () => {
  expect(() => checkSchedule('every hour', now)).toThrow('SYNC_SCHEDULE needs six fields');
});
