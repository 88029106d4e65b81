import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { readTrees } from '../../../../src/target/sqlite/check/read-trees.ts';
import { checkFile, databaseOf, findingsOf } from '../../../sqlite/check/sound-files.ts';

/** What the check finds in a file that has the tables of its owner, too. */
function faultsOf(bytes: Uint8Array, statements: readonly string[]): string[] {
  const db = new DatabaseSync(':memory:');
  // The page numbers are those of the file: it was made by the same statements.
  db.exec('PRAGMA page_size=8192');
  for (const statement of statements) db.exec(statement);
  const all = <T>(sql: string) => db.prepare(sql).all() as T[];
  const trees = readTrees({ all } as Parameters<typeof readTrees>[0]);
  db.close();
  const found = checkFile(bytes, trees);
  if (found === 'not a database') throw new Error(found);
  return found.faults.map(({ text }) => text);
}

const numbered = ['CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)'];
/** Rows whose numbers begin there: enough for many pages. */
const rowsFrom = (from: string) =>
  `WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < 999)
   INSERT INTO t SELECT ${from} + x, hex(zeroblob(200)) FROM n`;

it.each([
  [
    'a column with its own collation, and an index',
    [
      'CREATE TABLE t (n TEXT COLLATE NOCASE)',
      'CREATE INDEX i ON t (n)',
      "INSERT INTO t VALUES ('a'), ('B'), ('c')",
    ],
  ],
  [
    'an index with its own collation',
    [
      'CREATE TABLE t (n TEXT)',
      'CREATE INDEX i ON t (n COLLATE NOCASE)',
      "INSERT INTO t VALUES ('a'), ('B'), ('c')",
    ],
  ],
  [
    'a primary key with its own collation',
    ['CREATE TABLE t (n TEXT PRIMARY KEY COLLATE NOCASE)', "INSERT INTO t VALUES ('a'), ('B'), ('c')"],
  ],
  ['a negative row number', [...numbered, "INSERT INTO t VALUES (-5, 'a'), (0, 'b'), (7, 'c')"]],
  ['many negative row numbers', [...numbered, rowsFrom('-500')]],
  ['only negative row numbers', [...numbered, rowsFrom('-9223372036854775808')]],
  ['row numbers that a double does not hold', [...numbered, rowsFrom('9007199254740500')]],
  ['row numbers up to the greatest one', [...numbered, rowsFrom('9223372036854774808'), rowsFrom('-20')]],
])('the check finds nothing wrong with %s', (_, statements) => {
  const bytes = databaseOf(statements);
  expect(findingsOf(bytes, 'integrity_check')).toEqual([]);
  expect(faultsOf(bytes, statements)).toEqual([]);
});

it('the check finds negative row numbers that are not in order', () => {
  const statements = [...numbered, "INSERT INTO t VALUES (-5, 'a'), (-4, 'b')"];
  const bytes = databaseOf(statements);
  // The last bytes of the two row numbers.
  const at = bytes.indexOf(Buffer.from('fffffffffffffffffb', 'hex'));
  expect(at).toBeGreaterThan(0);
  bytes[at + 8] = 0xfd;
  expect(findingsOf(bytes, 'quick_check')).not.toEqual([]);
  expect(faultsOf(bytes, statements)).toEqual(['Page 2 of table t has row numbers that are not in order']);
});
