import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Table } from '../../../src/schema/table.ts';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../../src/sqlite/sqlite-database.ts';
import { findReferrers } from '../../../src/target/sqlite/rows/referrers.ts';

let db: SqliteDatabase;
beforeEach(async () => {
  db = SqliteDatabase.open(await loadSqlite());
});
afterEach(() => db.close());

/** A table of leads with two lookups, the second one to several tables. */
function leads(versionColumn: string): Table {
  db.exec(
    `CREATE TABLE leads (leadid TEXT PRIMARY KEY, ${versionColumn}, owner TEXT, customer TEXT, kind TEXT)`,
  );
  return {
    name: 'leads',
    logicalName: 'lead',
    primaryKey: 'leadid',
    versionColumn,
    columns: [],
    foreignKeys: [
      { column: 'owner', targets: ['account'] },
      { column: 'customer', typeColumn: 'kind', targets: ['account', 'contact'] },
    ],
  } as unknown as Table;
}

const digestsOf = (table: Table) => findReferrers(db, [table], 'account', ['a', 'b', 'c']).get('lead')!;

describe('digests of the rows that refer to an id', () => {
  it.each([
    ['versionnumber', [7, 8, 9]],
    ['_version', ['7', '8', '9']],
    ['_version', ['3e1f00aa', '3e1f00ab', '3e1f00ac']],
  ])('change with any of these rows and with no other (%s)', (column, [one, two, three]) => {
    const table = leads(column);
    const run = (sql: string, ...values: (string | number)[]) => db.run(sql, values);
    run(`INSERT INTO leads VALUES ('1', ?, 'a', NULL, NULL), ('2', ?, 'a', 'b', 'account')`, one!, two!);
    run(`INSERT INTO leads VALUES ('3', ?, NULL, 'c', 'contact')`, one!);
    const first = digestsOf(table);
    expect([...first.keys()].sort()).toEqual(['a', 'b']);
    expect(digestsOf(table)).toEqual(first);
    const seen = [first];
    /** Changes rows that refer to these ids. */
    const change = (ids: readonly string[], sql: string, ...values: (string | number)[]): void => {
      run(sql, ...values);
      const next = digestsOf(table);
      const isChanged = (id: string) => next.get(id) !== seen.at(-1)!.get(id);
      expect(['a', 'b', 'c'].filter(isChanged), sql).toEqual(ids);
      for (const id of ids) expect(seen.map((before) => before.get(id))).not.toContain(next.get(id));
      seen.push(next);
    };
    change(['a'], `UPDATE leads SET ${column} = ? WHERE leadid = '1'`, three!);
    change([], `UPDATE leads SET ${column} = ? WHERE leadid = '3'`, two!);
    change(['a'], `INSERT INTO leads VALUES ('4', ?, 'a', NULL, NULL)`, one!);
    change(['c'], `UPDATE leads SET kind = 'account' WHERE leadid = '3'`);
    // One comes and another one of the same version goes.
    change(
      ['a'],
      `UPDATE leads SET owner = CASE leadid WHEN '4' THEN NULL ELSE 'a' END WHERE leadid IN ('3', '4')`,
    );
    // Two rows exchange their versions.
    run(`UPDATE leads SET ${column} = ? WHERE leadid = '1'`, one!);
    run(`UPDATE leads SET ${column} = ? WHERE leadid = '2'`, two!);
    seen.push(digestsOf(table));
    change(
      ['a', 'b'],
      `UPDATE leads SET ${column} = CASE leadid WHEN '1' THEN ? ELSE ? END WHERE leadid < '3'`,
      two!,
      one!,
    );
    change(['a', 'b'], `DELETE FROM leads WHERE leadid = '2'`);
  });

  it('bring one row of each key and id out of SQLite, however many refer to it', () => {
    const table = leads('versionnumber');
    db.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
      INSERT INTO leads SELECT i, i, 'a', 'a', 'account' FROM n`);
    const all = vi.spyOn(db, 'all');
    expect(digestsOf(table).size).toBe(1);
    expect(all.mock.results.map(({ value }) => (value as unknown[]).length)).toEqual([1, 1]);
  });
});
