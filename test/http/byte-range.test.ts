import { expect, test } from 'vitest';
import { readByteRange } from '../../src/http/byte-range.ts';

test.each([
  ['bytes=0-0', { first: 0, last: 0 }],
  ['bytes=0-99', { first: 0, last: 99 }],
  ['bytes=0-100', { first: 0, last: 99 }],
  ['bytes=99-', { first: 99, last: 99 }],
  ['Bytes= 40-59 ', { first: 40, last: 59 }],
  ['bytes=-1', { first: 99, last: 99 }],
  ['bytes=-100', { first: 0, last: 99 }],
  ['bytes=-101', { first: 0, last: 99 }],
  [`bytes=0-${'9'.repeat(400)}`, { first: 0, last: 99 }],
  ['bytes=100-', 'unsatisfiable'],
  ['bytes=100-200', 'unsatisfiable'],
  [`bytes=${'9'.repeat(400)}-`, 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  [null, 'whole'],
  ['', 'whole'],
  ['bytes=-', 'whole'],
  ['bytes=5-4', 'whole'],
  ['bytes=0-1,4-5', 'whole'],
  ['bytes=1.5-2', 'whole'],
  ['bytes=+1-2', 'whole'],
  ['rows=0-1', 'whole'],
])('%s of 100 bytes', (header, expected) => {
  expect(readByteRange(header, 100)).toEqual(expected);
});

test.each(['bytes=0-', 'bytes=0-0', 'bytes=-1'])('%s of an empty file', (header) => {
  expect(readByteRange(header, 0)).toBe('unsatisfiable');
});
