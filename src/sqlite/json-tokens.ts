import { RetriableError } from '../errors.ts';

/**
 * The kinds of JSON values in a page, and the rules of JSON that are too rare for the inner loop of the scanner. They
 * accept and reject exactly what JSON.parse does.
 */

// Kinds of values, as numbers for typed arrays. A kind above NULL has a value.
export const ABSENT = 0;
export const NULL = 1;
export const TRUE = 2;
export const FALSE = 3;
/** A number without a fraction or exponent. */
export const INTEGER = 4;
/** Any other number. */
export const NUMBER = 5;
/** A string without escapes. Its bounds exclude the quotes. */
export const STRING = 6;
/** A string with escapes. Its bounds exclude the quotes. */
export const ESCAPED = 7;
/** An object or array without white space between its tokens. */
export const NESTED = 8;
/** An object or array with white space between its tokens. */
export const SPACED = 9;
/** How many kinds there are. */
export const kindCount = 10;

export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const BACKSLASH = 0x5c;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;
export const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** 1 for a byte that ends a run of plain characters in a string: quote, backslash, control character. */
export const endsRun = new Uint8Array(256);
endsRun.fill(1, 0, 0x20);
endsRun[QUOTE] = 1;
endsRun[BACKSLASH] = 1;

export function isSpace(c: number | undefined): boolean {
  return c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;
}

export function isDigit(c: number | undefined): boolean {
  return c !== undefined && c >= 0x30 && c <= 0x39;
}

function isHexDigit(c: number | undefined): boolean {
  return isDigit(c) || (c !== undefined && ((c >= 0x41 && c <= 0x46) || (c >= 0x61 && c <= 0x66)));
}

/** The position of the closing quote. `from` is inside a string, where a run of plain characters ends. */
export function endOfString(bytes: Buffer, from: number): number {
  let i = from;
  for (;;) {
    while (endsRun[bytes[i]!] === 0) i += 1;
    const c = bytes[i];
    if (c === QUOTE) return i;
    if (c !== BACKSLASH) throw malformed(bytes, i, 'a string is not closed or has a control character');
    const escaped = bytes[i + 1];
    if (escaped === 0x75) {
      for (let k = i + 2; k < i + 6; k++) {
        if (!isHexDigit(bytes[k])) throw malformed(bytes, k, 'expected a hexadecimal digit');
      }
      i += 6;
    } else if (escaped !== undefined && '"\\/bfnrt'.includes(String.fromCharCode(escaped))) {
      i += 2;
    } else {
      throw malformed(bytes, i, 'unknown escape');
    }
  }
}

/** The end of a number. `from` is its decimal point or exponent. */
export function endOfNumber(bytes: Buffer, from: number): number {
  let i = from;
  if (bytes[i] === 0x2e) i = endOfDigits(bytes, i + 1);
  if (bytes[i] === 0x65 || bytes[i] === 0x45) {
    i += 1;
    if (bytes[i] === 0x2b || bytes[i] === 0x2d) i += 1;
    i = endOfDigits(bytes, i);
  }
  return i;
}

function endOfDigits(bytes: Buffer, from: number): number {
  let i = from;
  if (!isDigit(bytes[i])) throw malformed(bytes, i, 'expected a digit');
  while (isDigit(bytes[i])) i += 1;
  return i;
}

/** The end of the object or array at `from`, found by its brackets and checked by JSON.parse. They are rare. */
export function endOfNested(bytes: Buffer, from: number): { end: number; kind: number } {
  let i = from;
  let depth = 0;
  let kind = NESTED;
  do {
    const c = bytes[i];
    if (c === QUOTE) {
      i = endOfString(bytes, i + 1);
    } else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
      depth += 1;
    } else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) {
      depth -= 1;
    } else if (isSpace(c)) {
      kind = SPACED;
    } else if (c === undefined) {
      throw malformed(bytes, i, 'an object or array is not closed');
    }
    i += 1;
  } while (depth > 0);
  try {
    JSON.parse(bytes.toString('utf8', from, i));
  } catch {
    // The parser's own message quotes the data.
    throw malformed(bytes, from, 'the object or array at this position is not valid');
  }
  return { end: i, kind };
}

/** The error for JSON that is broken at this position. */
export function malformed(bytes: Buffer, position: number, fault: string): RetriableError {
  const where = position >= bytes.length ? `its end, byte ${bytes.length}` : `byte ${position}`;
  return new RetriableError(`Malformed JSON at ${where}: ${fault}`, {
    operation: 'read records',
    hint: 'The response was cut short or changed on its way. If this persists, compare it with the response that the service sent.',
  });
}

/** The text of a value of this kind with these bounds, decoded; the minified JSON text of an object or array. */
export function textOf(bytes: Buffer, kind: number, start: number, end: number): string {
  if (kind === ESCAPED) {
    return (JSON.parse(bytes.toString('utf8', start - 1, end + 1)) as string).toWellFormed();
  }
  const text = bytes.toString('utf8', start, end);
  // Keeps strings whole and drops the white space between them.
  return kind === SPACED ? text.replace(/("(?:[^"\\]|\\.)*")|[ \n\r\t]+/g, '$1') : text;
}
