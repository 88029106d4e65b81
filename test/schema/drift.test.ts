import { describe, expect, it } from 'vitest';
import { migrationSql, newTableMigration } from '../../src/schema/migration.ts';
import type { Column, Table } from '../../src/schema/table.ts';
import { resolveTables } from '../../src/schema/tables-from-csdl.ts';
import { documents, parseDocument, realDocuments } from './documents.ts';
import { open, plain } from './tables.ts';

const snapshots = documents.filter((name) => name.startsWith('embc-ess'));

function sampleValue(column: Column, row: number): string | number | null {
  if (row % 3 === 2) return null;
  if (column.type === 'INTEGER') return row + column.name.length;
  if (column.type === 'REAL') return row + 0.25;
  return `${column.name} ${row}`;
}

describe.skipIf(snapshots.length === 0)(realDocuments, () => {
  it('seven snapshots of one organisation migrate in order without a lost row or value', {
    timeout: 120_000,
  }, () => {
    const database = open();
    let inDatabase: Table[] = [];
    /** What every table has to hold, by its SQLite name. */
    const truth = new Map<string, Record<string, unknown>[]>();
    const seen = new Set<string>();
    for (const snapshot of snapshots) {
      const csdl = parseDocument(snapshot);
      const { tables, failures } = resolveTables(
        csdl,
        [],
        csdl.entitySets.map(({ entityType }) => entityType),
      );
      expect(failures).toEqual([]);
      const vanished = inDatabase.filter(({ name }) => !tables.some((table) => table.name === name));
      const synced = [...tables, ...vanished];
      const syncedBefore = inDatabase;
      inDatabase = [...vanished];
      database.exec('BEGIN');
      for (const to of tables) {
        const from = syncedBefore.find(({ name }) => name === to.name);
        const migration =
          from === undefined
            ? newTableMigration(to, { synced })
            : migrationSql(from, to, { synced, syncedBefore });
        for (const statement of migration.statements) database.exec(statement);
        for (const { change } of migration.changes) seen.add(change);
        inDatabase.push(migration.table);
        if (from === undefined) truth.set(to.name, []);
        const rows = truth.get(to.name)!;
        const id = rows.length + 1;
        for (const { name } of to.columns) for (const row of rows) row[name] ??= null;
        const added = Object.fromEntries(to.columns.map((column) => [column.name, sampleValue(column, id)]));
        for (const { name } of migration.table.staleColumns ?? []) added[name] = null;
        rows.push({ ...added, [to.primaryKey]: `${to.name} ${id}` });
        const names = to.columns.map(({ name }) => name);
        database
          .prepare(
            `INSERT INTO "${to.name}" (${names.map((name) => `"${name}"`)}) VALUES (${names.map(() => '?')})`,
          )
          .run(...names.map((name) => rows.at(-1)![name] as string | number | null));
      }
      database.exec('COMMIT');
      for (const { name, columns, staleColumns = [], primaryKey } of inDatabase) {
        const rows = plain(database.prepare(`SELECT * FROM "${name}" ORDER BY "${primaryKey}"`).all());
        expect(rows, `${name} after ${snapshot}`).toEqual(truth.get(name));
        expect(Object.keys(rows[0]!).sort()).toEqual([...columns, ...staleColumns].map((c) => c.name).sort());
      }
    }
    expect(truth.size).toBeGreaterThan(315);
    expect(seen).toContain('new-column');
    expect(seen).toContain('removed-column');
    expect(database.prepare('PRAGMA integrity_check').get()).toMatchObject({ integrity_check: 'ok' });
  });
});
