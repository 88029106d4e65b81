import { expect, it } from 'vitest';
import { addSizes, checkEnd } from '../../../src/sync/fetch/endless-read.ts';

const limits = { pageSize: 5000, databaseMaxBytes: 1_000_000 };
const check = (pages: number, records: number, bytes = 0, more = {}) =>
  checkEnd('accounts', { pages, records, bytes }, { ...limits, ...more });

it('stops a read whose pages are nearly empty and do not end', () => {
  expect(() => check(1000, 1000)).toThrow(
    'The pages of accounts do not end: 1000 pages with 1000 rows were read',
  );
  expect(() => check(1000, 0)).toThrow('do not end');
});

it('stops a read of more than any database can hold', () => {
  expect(() => check(10, 50_000, 20_000_001)).toThrow('do not end');
  expect(() => check(10, 50_000, 20_000_000)).not.toThrow();
});

it('lets long reads go on', () => {
  expect(() => check(100_000, 500_000_000, 0)).not.toThrow();
  // A provider may send smaller pages than were asked for.
  expect(() => check(100_000, 25_000_000)).not.toThrow();
  expect(() => check(999, 0)).not.toThrow();
  expect(() => check(100_000, 100_000, 0, { pageSize: 1 })).not.toThrow();
});

it('adds up slices', () => {
  const one = { pages: 1, records: 2, bytes: 3 };
  expect(addSizes(undefined, one)).toEqual(one);
  expect(addSizes({ ...one, pages: 5 }, one)).toEqual({ pages: 6, records: 4, bytes: 6 });
});
