/** The most digits that every integer in a double is exact for. SQLite reads longer ones exactly, from their text. */
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

const jsonNumber = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** The number that a text spells by the rules of JSON, otherwise the text. */
export function numberInText(text: string): number | string {
  return jsonNumber.test(text) ? Number(text) : text;
}
