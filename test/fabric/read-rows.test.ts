import { expect, it } from 'vitest';
import type { Table } from '../../src/schema/table.ts';
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../src/sqlite/sqlite-database.ts';
import { readRows } from '../../src/target/sqlite/rows/read-rows.ts';

const table: Table = {
  ...{ logicalName: 'account', name: 'accounts', primaryKey: 'accountid' },
  ...{ foreignKeys: [], changeTracking: true, intersect: false },
  columns: [{ name: 'accountid', edmType: 'Edm.Guid', reading: 'guid', type: 'TEXT' }],
};
const create = (name: string) => `CREATE TABLE ${name} (accountid TEXT PRIMARY KEY)`;

it('does not go on in a table that was built anew, even at the same place in the file', async () => {
  const db = SqliteDatabase.open(await loadSqlite());
  db.exec(`${create('accounts')}; INSERT INTO accounts VALUES ('a'), ('b'), ('c'), ('d'), ('e')`);
  const root = () => db.get("SELECT rootpage FROM sqlite_master WHERE name = 'accounts'");
  const rows = { all: { upTo: 0 } };
  const page = readRows(db, table, { table, rows, maxRows: 2 })!;
  expect(page.rows.map(({ id }) => id)).toEqual(['a', 'b']);
  const rest = { table, rows, from: page.next, maxRows: 9 };
  db.exec("DELETE FROM accounts WHERE accountid = 'a'");
  expect(readRows(db, table, rest)!.rows).toHaveLength(3);
  const before = root();
  // SQLite uses the pages of the first table again for the third one.
  for (let time = 0; time < 2; time++) {
    db.exec(`${create('built')}; INSERT INTO built SELECT accountid FROM accounts;
      DROP TABLE accounts; ALTER TABLE built RENAME TO accounts`);
  }
  expect(root()).toEqual(before);
  expect(readRows(db, table, rest)).toBeUndefined();
});
