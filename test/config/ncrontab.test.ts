import { describe, expect, test } from 'vitest';
import { Ncrontab, scheduleFault } from '../../src/config/ncrontab.ts';

const next = (expression: string, after: string) =>
  new Ncrontab(expression).next(new Date(after))?.toISOString();

describe('NCRONTAB', () => {
  test.each([
    ['0 */15 * * * *', '2026-11-21T02:00:00Z', '2026-11-21T02:15:00.000Z'],
    ['0 */15 * * * *', '2026-11-21T23:59:59.999Z', '2026-11-22T00:00:00.000Z'],
    ['*/5 * * * * *', '2026-11-21T02:00:04.500Z', '2026-11-21T02:00:05.000Z'],
    ['30 0 0 1 1 *', '2026-11-21T02:00:00Z', '2027-01-01T00:00:30.000Z'],
    ['0 30 9 * * 1-5', '2026-11-21T02:00:00Z', '2026-11-23T09:30:00.000Z'],
    ['0 0 9 * Jan,jun Mon', '2026-11-21T02:00:00Z', '2027-01-04T09:00:00.000Z'],
    ['0 0 0 29 Feb *', '2026-11-21T02:00:00Z', '2028-02-29T00:00:00.000Z'],
    ['0 0 0 29 2 0', '2026-11-21T02:00:00Z', '2032-02-29T00:00:00.000Z'],
    ['0 0 0 13 * Friday', '2026-11-21T02:00:00Z', '2027-08-13T00:00:00.000Z'],
    ['0 0 20-22/2 * * *', '2026-11-21T20:00:00Z', '2026-11-21T22:00:00.000Z'],
    ['0 50/4 * * * *', '2026-11-21T02:54:00Z', '2026-11-21T02:58:00.000Z'],
    ['*/15 * * * *', '2026-11-21T02:00:00Z', '2026-11-21T02:15:00.000Z'],
    ['00:15:00', '2026-11-21T02:00:00Z', '2026-11-21T02:15:00.000Z'],
    ['24:00:00', '2026-11-21T02:00:00Z', '2026-12-15T02:00:00.000Z'],
    ['0 0 0 31 * *', '2026-11-21T02:00:00Z', '2026-12-31T00:00:00.000Z'],
  ])('%s after %s is %s', (expression, after, expected) => {
    expect(next(expression, after)).toBe(expected);
  });

  test.each([
    ['* * *', 'six fields'],
    ['0 60 * * * *', '"60" is not a valid minute'],
    ['0 0 24 * * *', '"24" is not a valid hour'],
    ['0 0 0 0 * *', '"0" is not a valid day'],
    ['0 0 0 * 13 *', '"13" is not a valid month'],
    ['0 0 0 * * 7', '"7" is not a valid day of week'],
    ['0 */0 * * * *', '"*/0" is not a valid minute'],
    ['0 5-1 * * * *', '"5-1" is not a valid minute'],
    ['0 1-2-3 * * * *', '"1-2-3" is not a valid minute'],
    ['0 a * * * *', '"a" is not a valid minute'],
    ['0 0 0 30 2 *', 'never matches'],
  ])('%s is rejected: %s', (expression, message) => {
    expect(() => new Ncrontab(expression)).toThrow(message);
  });

  test.each([
    '0 0 0 * * Fri-Mon',
    '0 50-10 * * * *',
    '0 0 0 31 2 *',
    '00:15:00',
    '*/15 * * * *',
    '0 0 0 1 jan-Mar *',
  ])('the host may accept %s, so the setting is not invalid', (schedule) =>
    expect(scheduleFault(schedule)).toBeUndefined(),
  );

  test.each([
    ['secret', 'needs six fields'],
    ['00:00:00', 'needs six fields'],
    ['0 60 * * * *', 'has an invalid minute'],
    ['0 0 0 * 13 *', 'has an invalid month'],
    ['0 a * * * *', 'has an invalid minute'],
    ['0 0 0 ? * *', 'has an invalid day'],
  ])('%s is certainly wrong: %s', (schedule, fault) => expect(scheduleFault(schedule)).toContain(fault));

  test('agrees with a check of every second', () => {
    const expression = new Ncrontab('7,41 3-50/13 1,5 * * 2');
    const start = Date.UTC(2026, 10, 23);
    const naive: number[] = [];
    for (let time = start + 1000; time < start + 3 * 86_400_000; time += 1000) {
      const date = new Date(time);
      const matches =
        [7, 41].includes(date.getUTCSeconds()) &&
        [3, 16, 29, 42].includes(date.getUTCMinutes()) &&
        [1, 5].includes(date.getUTCHours()) &&
        date.getUTCDay() === 2;
      if (matches) naive.push(time);
    }
    const found: number[] = [];
    let due = expression.next(new Date(start));
    while (due !== undefined && due.getTime() < start + 3 * 86_400_000) {
      found.push(due.getTime());
      due = expression.next(due);
    }
    expect(found).toEqual(naive);
    expect(found).toHaveLength(16);
  });
});
