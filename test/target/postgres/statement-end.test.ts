import { expect, it } from 'vitest';
import { trimmed, withoutComments } from '../../../src/target/postgres/query/statement-end.ts';

it.each([
  ['SELECT 1; ;\n', 'SELECT 1', 'SELECT 1'],
  ['SELECT 1; -- the end', 'SELECT 1; -- the end', 'SELECT 1'],
  ["SELECT 'a'';', \"--\" /* ; */;", "SELECT 'a'';', \"--\" /* ; */", "SELECT 'a'';', \"--\""],
  ['SELECT 1 /* open', 'SELECT 1 /* open', 'SELECT 1'],
  ["SELECT 'open", "SELECT 'open", "SELECT 'open"],
  [' -- nothing', ' -- nothing', ''],
])('ends %j', (sql, withComments, without) => {
  expect([trimmed(sql), withoutComments(sql)]).toEqual([withComments, without]);
});

// A regular expression takes minutes for these, in which the process does nothing else.
it.each([' ', ';', '/**/', '-- \n', "''", '/* '])('takes a moment for a million of %j', (text) => {
  const sql = `SELECT 1 ${text.repeat(1_000_000)}x`;
  expect(trimmed(sql)).toBe(sql);
  expect(withoutComments(sql).startsWith('SELECT 1')).toBe(true);
});
