import type { z } from 'zod';

/** JSON types in words, by their names in issues of the schema library. */
const types: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
  null: 'null',
};

/**
 * What is wrong with the type of a value, such as `must be a number, not text`; undefined if something else is wrong.
 * A value is missing only if it is not there, so the schema must be asked to report the input.
 * @param expected replaces the part before the comma
 */
export function typeFault(issue: z.core.$ZodIssue, expected?: string): string | undefined {
  if (issue.code !== 'invalid_type') return undefined;
  if (issue.input === undefined) return 'is missing';
  const known = types[issue.expected];
  const must = expected ?? (known === undefined ? issue.message : `must be ${known}`);
  // 1.5 is a number, and the sentence says that it has to be a whole one.
  const isNumber = typeof issue.input === 'number' && ['number', 'int'].includes(issue.expected);
  return isNumber ? must : `${must}, not ${kindOf(issue.input)}`;
}

function kindOf(value: unknown): string {
  if (typeof value === 'boolean') return String(value);
  return types[value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value] ?? typeof value;
}
