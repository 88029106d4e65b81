import type { ColumnTypeRules } from '../schema/column-types.ts';
import { ESCAPED, FALSE, INTEGER, kindCount, NESTED, NUMBER, SPACED, STRING, TRUE } from './json-tokens.ts';

/**
 * How a JSON value becomes a value of SQLite, after the affinity of its column. `RecordEncoder` chooses by a number, one
 * for each column and kind of value, because this is its inner loop. A number that it does not handle does not compile.
 */

/** NULL. */
export const SKIP = 0;
/** The bytes of the value, as text. */
export const TEXT = 1;
/** The bytes of a string and its quotes, as text. */
export const QUOTED_TEXT = 2;
/** A string with escapes, decoded. */
export const DECODED_TEXT = 3;
/** A string with its ASCII letters in lower case. */
export const LOWERCASE = 4;
/** An object or array without the white space between its tokens. */
export const MINIFIED = 5;
/** A number without a fraction or exponent, in an INTEGER column. */
export const WHOLE_NUMBER = 6;
/** Any other number there. An integer such as 1.0 becomes one. */
export const NUMERIC = 7;
/** A number in a REAL column. */
export const DOUBLE = 8;
export const ONE = 9;
export const ZERO = 10;
/** In an INTEGER column, the number that a string spells, otherwise the string. */
export const NUMERIC_IN_STRING = 11;
/** The same in a REAL column. */
export const DOUBLE_IN_STRING = 12;
/** The bytes that a string encodes in base64. */
export const BASE64 = 13;

export type Conversion = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13;
type Pair = readonly [Conversion, Conversion];

/** For strings without and with escapes. */
const strings: Record<ColumnTypeRules['strings'], Pair> = {
  text: [TEXT, DECODED_TEXT],
  lowercase: [LOWERCASE, LOWERCASE],
  number: [DOUBLE_IN_STRING, DOUBLE_IN_STRING],
  bytes: [BASE64, BASE64],
  json: [QUOTED_TEXT, QUOTED_TEXT],
};

/** For integers and other numbers. */
const numbers: Record<ColumnTypeRules['numbers'], Pair> = {
  integer: [WHOLE_NUMBER, NUMERIC],
  double: [DOUBLE, DOUBLE],
  json: [TEXT, TEXT],
};

/** For true and false. */
const booleans: Record<ColumnTypeRules['booleans'], Pair> = {
  integer: [ONE, ZERO],
  json: [TEXT, TEXT],
};

/** The conversions of several columns: for column `c` and kind `k` at index `c * kindCount + k`. */
export function conversionsOf(types: readonly ColumnTypeRules[]): Uint8Array {
  const conversions = new Uint8Array(types.length * kindCount).fill(SKIP);
  types.forEach((type, column) => {
    const of = conversions.subarray(column * kindCount, (column + 1) * kindCount);
    [of[STRING], of[ESCAPED]] = strings[type.strings];
    if (type.sqliteType === 'INTEGER') of[STRING] = of[ESCAPED] = NUMERIC_IN_STRING;
    [of[INTEGER], of[NUMBER]] = numbers[type.numbers];
    [of[TRUE], of[FALSE]] = booleans[type.booleans];
    [of[NESTED], of[SPACED]] = [TEXT, MINIFIED];
  });
  return conversions;
}
