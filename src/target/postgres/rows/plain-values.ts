import type { PostgresType } from '../schema/column-types.ts';

/**
 * Which values of a shard PostgreSQL stores as they are: what `convert` returns without a change. Each looks at the bytes of a
 * value, and may say no where `convert` would not.
 */

/** More digits are counted by `convert`. */
const maxPlainDigits = 200;

const hyphen = 0x2d;
const point = 0x2e;
const colon = 0x3a;
const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;

/** Whether every integer of this serial type is one of the type of PostgreSQL. */
export function isIntegerOf(serial: number, type: PostgresType): boolean {
  if (serial === 8 || serial === 9) return true;
  return serial <= (type === 'smallint' ? 2 : type === 'integer' ? 4 : 6);
}

export function isUuid(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from !== 36) return false;
  for (let n = 0; n < 36; n++) {
    const byte = bytes[from + n]!;
    if (n === 8 || n === 13 || n === 18 || n === 23) {
      if (byte !== hyphen) return false;
    } else if (!isDigit(byte) && !((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66)) return false;
  }
  return true;
}

/** A number of digits, perhaps with a sign and a point between digits. */
export function isPlainNumber(bytes: Uint8Array, from: number, to: number): boolean {
  let at = from;
  if (to - from > maxPlainDigits) return false;
  if (bytes[at] === hyphen) at += 1;
  const first = at;
  while (at < to && isDigit(bytes[at]!)) at += 1;
  if (at === first) return false;
  if (at === to) return true;
  if (bytes[at] !== point || at + 1 === to) return false;
  at += 1;
  while (at < to && isDigit(bytes[at]!)) at += 1;
  return at === to;
}

/** The number of two digits; NaN if they are not digits. */
function twoDigits(bytes: Uint8Array, at: number): number {
  const [tens, ones] = [bytes[at]!, bytes[at + 1]!];
  return isDigit(tens) && isDigit(ones) ? 10 * tens + ones - 0x210 : Number.NaN;
}

/** A day that every year has, of a year from 1 to 9999. */
export function isPlainDay(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from !== 10 || bytes[from + 4] !== hyphen || bytes[from + 7] !== hyphen) return false;
  const year = 100 * twoDigits(bytes, from) + twoDigits(bytes, from + 2);
  const month = twoDigits(bytes, from + 5);
  const day = twoDigits(bytes, from + 8);
  return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= daysOf(month);
}

function daysOf(month: number): number {
  if (month === 2) return 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** An instant in UTC, with seconds and at most six digits of their fraction. */
export function isPlainInstant(bytes: Uint8Array, from: number, to: number): boolean {
  const length = to - from;
  if (length !== 20 && (length < 22 || length > 27)) return false;
  if (!isPlainDay(bytes, from, from + 10) || bytes[from + 10] !== 0x54 || bytes[to - 1] !== 0x5a)
    return false;
  if (bytes[from + 13] !== colon || bytes[from + 16] !== colon) return false;
  const isTime =
    twoDigits(bytes, from + 11) <= 23 &&
    twoDigits(bytes, from + 14) <= 59 &&
    twoDigits(bytes, from + 17) <= 59;
  if (!isTime || length === 20) return isTime;
  if (bytes[from + 19] !== point) return false;
  for (let at = from + 20; at < to - 1; at++) if (!isDigit(bytes[at]!)) return false;
  return true;
}
