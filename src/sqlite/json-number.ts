/** The most digits that every integer in a double is exact for. */
export const exactDigits = 15;

/** An integer of at most `exactDigits` characters. */
export function readInteger(page: Buffer, from: number, to: number): number {
  let i = from;
  const negative = page[i] === 0x2d;
  if (negative) i += 1;
  let value = 0;
  for (; i < to; i++) value = value * 10 + page[i]! - 0x30;
  return negative ? -value : value;
}

const powersOfTen = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/**
 * The double nearest to a JSON number. Up to 15 digits and 22 decimal places both parts of `digits / 10^places` are
 * exact doubles, so one division rounds correctly (Clinger, 1990).
 */
export function readDouble(page: Buffer, from: number, to: number): number {
  let i = from;
  const negative = page[i] === 0x2d;
  if (negative) i += 1;
  if (to - i <= exactDigits + 1) {
    let digits = 0;
    let places = -1;
    for (; i < to; i++) {
      const c = page[i]!;
      if (c === 0x2e) places = 0;
      else if (c > 0x39) break;
      else {
        digits = digits * 10 + c - 0x30;
        if (places >= 0) places += 1;
      }
    }
    if (i === to && (places >= 0 || to - from <= exactDigits)) {
      const value = places > 0 ? digits / powersOfTen[places]! : digits;
      return negative ? -value : value;
    }
  }
  return Number(page.toString('latin1', from, to));
}

/** What SQLite takes for a number, and what of it for an integer. A text may have white space around it. */
const numericText = /^[\t-\r ]*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)[\t-\r ]*$/;
const integerText = /^[+-]?\d+$/;

const min64 = -(2n ** 63n);
const max64 = 2n ** 63n - 1n;

/**
 * The number that a text becomes in a column with numeric affinity: exact for an integer of 64 bits, otherwise the
 * nearest double; undefined if the text remains a text (sqlite.org: Datatypes In SQLite, "Type Affinity").
 */
export function numberInText(text: string): number | bigint | undefined {
  // SQLite reads up to a zero character, after which it takes no long integers.
  const zero = text.indexOf('\0');
  const number = numericText.exec(zero < 0 ? text : text.slice(0, zero))?.[1];
  if (number === undefined) return undefined;
  const double = Number(number);
  const isShort = number.length <= exactDigits || zero >= 0;
  if (isShort || Math.abs(double) > 2 ** 63 || !integerText.test(number)) return double;
  const integer = BigInt(number.replace('+', ''));
  return integer >= min64 && integer <= max64 ? integer : double;
}
