import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, it } from 'vitest';
import { migrationSql, newTableMigration } from '../../src/schema/migration.ts';
import type { Column, Table } from '../../src/schema/table.ts';
import { resolveTables } from '../../src/schema/tables-from-csdl.ts';
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../src/sqlite/sqlite-database.ts';
import { labelledViewSql } from '../../src/target/sqlite/tables/labelled-view.ts';
import { isLong } from '../long.ts';
import { documents, parseDocument, realDocuments } from './documents.ts';
import { expectStored, plain } from './tables.ts';

const all = documents.filter((name) => name.startsWith('embc-ess'));
/** The first one, the last one and some between them. */
const snapshots = isLong ? all : all.filter((_, n) => n % 2 === 0);
const folder = mkdtempSync(join(tmpdir(), 'drift-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Row = Record<string, string | number | null>;

function sampleValue(column: Column, row: number): string | number | null {
  if (row % 3 === 2) return null;
  if (column.type === 'INTEGER') return row + column.name.length;
  if (column.type === 'REAL') return row + 0.25;
  return `${column.name} ${row}`;
}

/** The custom tables of the organization, which change most, have views. */
function hasView({ name }: { name: string }): boolean {
  return name.startsWith('era_') || name === 'contacts';
}

/** The tables of a snapshot. The first one leaves out some custom tables, so that foreign keys appear later. */
function tablesOf(snapshot: string): Table[] {
  const csdl = parseDocument(snapshot);
  const names = csdl.entitySets.map(({ entityType }) => entityType);
  const { tables, failures } = resolveTables(csdl, [], names);
  expect(failures).toEqual([]);
  return snapshot === snapshots[0]
    ? tables.filter(({ name }, i) => i % 2 === 0 || !name.startsWith('era_'))
    : tables;
}

describe.skipIf(snapshots.length === 0)(realDocuments, () => {
  it('migrates through the snapshots of one organization without losing a row or value', {
    timeout: 240_000,
  }, async () => {
    const database = SqliteDatabase.open(await loadSqlite());
    let inDatabase: Table[] = [];
    /** The expected rows of every table, by its SQLite name. */
    const truth = new Map<string, Row[]>();
    const seen = new Set<string>();
    for (const snapshot of snapshots) {
      const tables = tablesOf(snapshot);
      const vanished = inDatabase.filter(({ name }) => !tables.some((table) => table.name === name));
      const synced = [...tables, ...vanished];
      const syncedBefore = inDatabase;
      inDatabase = [...vanished];
      database.transaction(() => {
        for (const to of tables) {
          const from = syncedBefore.find(({ name }) => name === to.name);
          const migration =
            from === undefined
              ? newTableMigration(to, { synced })
              : migrationSql(from, to, { synced, syncedBefore });
          for (const statement of migration.statements) database.exec(statement);
          for (const { change } of migration.changes) seen.add(change);
          inDatabase.push(migration.table);
          const rows = truth.get(to.name) ?? [];
          truth.set(to.name, rows);
          for (const { name } of to.columns) for (const row of rows) row[name] ??= null;
          const id = rows.length + 1;
          const row: Row = Object.fromEntries(
            to.columns.map((column) => [column.name, sampleValue(column, id)]),
          );
          row[to.primaryKey] = `${to.name} ${id}`;
          const names = Object.keys(row);
          database.run(
            `INSERT INTO "${to.name}" (${names.map((name) => `"${name}"`)}) VALUES (${names.map(() => '?')})`,
            Object.values(row),
          );
          for (const { name } of migration.table.staleColumns ?? []) row[name] = null;
          rows.push(row);
        }
        for (const table of inDatabase.filter(hasView)) {
          for (const statement of labelledViewSql(table, { synced, choices: [] })) database.exec(statement);
        }
      });

      const file = join(folder, `${snapshot}.db`);
      writeFileSync(file, database.export());
      const independent = new DatabaseSync(file, { readOnly: true });
      for (const { name, columns, staleColumns = [], primaryKey } of inDatabase) {
        const rows = plain(independent.prepare(`SELECT * FROM "${name}" ORDER BY "${primaryKey}"`).all());
        expect(rows, `${name} after ${snapshot}`).toEqual(truth.get(name));
        expect(Object.keys(rows[0]!).sort()).toEqual([...columns, ...staleColumns].map((c) => c.name).sort());
        if (!hasView({ name })) continue;
        const labelled = independent.prepare(`SELECT count(*) AS n FROM "${name}_labelled"`).get();
        expect(labelled).toMatchObject({ n: rows.length });
      }
      expect(independent.prepare('PRAGMA integrity_check').get()).toMatchObject({ integrity_check: 'ok' });
      independent.close();
    }
    expect(truth.size).toBeGreaterThan(315);
    expect([...seen].sort()).toEqual(['foreign-keys', 'new-column', 'new-table', 'removed-column']);

    for (const table of inDatabase) {
      expectStored((sql, parameters) => database.all(sql, parameters), table, inDatabase);
    }
    database.close();
  });
});
