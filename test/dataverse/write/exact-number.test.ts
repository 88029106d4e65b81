import { expect, test } from 'vitest';
import { exactNumber, toJson, toJsonWithMarks } from '../../../src/dataverse/write/exact-number.ts';

test('writes the same JSON without JSON.rawJSON, which Node.js 20 lacks', () => {
  const values = { a: 9007199254740993n, b: { c: [1n, 'text "with" quotes \\ and \u2028', null, 1.5] } };
  expect(toJsonWithMarks(values)).toBe(toJson(values));
  expect(toJson(exactNumber('12.3400'))).toBe('12.3400');
});
