import { DatabaseSync } from 'node:sqlite';
import { expect } from 'vitest';
import { type ColumnType, ofType } from '../../src/schema/column-types.ts';
import { declaredForeignKeys } from '../../src/schema/sql.ts';
import type { Column, Table } from '../../src/schema/table.ts';

export function column(name: string, type: ColumnType, edmType = 'Edm.String'): Column {
  return { name, property: name, edmType, ...ofType(type) };
}

export function table(logicalName: string, columns: Column[], more: Partial<Table> = {}): Table {
  const primaryKey = `${logicalName}id`;
  return {
    logicalName,
    name: `${logicalName}s`,
    primaryKey,
    columns: [column(primaryKey, 'guid', 'Edm.Guid'), ...columns],
    foreignKeys: [],
    changeTracking: false,
    intersect: false,
    ...more,
  };
}

export function open(...statements: string[]): DatabaseSync {
  const database = new DatabaseSync(':memory:', { enableForeignKeyConstraints: false });
  for (const statement of statements) database.exec(statement);
  return database;
}

export const plain = (rows: unknown[]) => rows.map((row) => ({ ...(row as object) }));

/** All rows of a query, from any SQLite. */
type Query = (sql: string, parameters: string[]) => unknown[];

export const query =
  (database: DatabaseSync): Query =>
  (sql, parameters) =>
    plain(database.prepare(sql).all(...parameters));

/**
 * Fails unless the database holds the table as the model describes it: the columns with their types, the key, and
 * the declared foreign keys of the columns that Dataverse still has. A removed column keeps its foreign key.
 */
export function expectStored(all: Query, model: Table, synced: readonly Table[]): void {
  const columns = all('SELECT name, type, pk FROM pragma_table_info(?) ORDER BY name', [model.name]);
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
  expect(columns).toEqual(
    [...model.columns, ...(model.staleColumns ?? [])]
      .map(({ name, type }) =>
        name === model.primaryKey ? { name, type: 'TEXT', pk: 1 } : { name, type, pk: 0 },
      )
      .sort(byName),
  );
  const live = new Set(model.columns.map(({ name }) => name));
  const foreignKeys = all('SELECT "from", "table", "to" FROM pragma_foreign_key_list(?) ORDER BY "from"', [
    model.name,
  ]) as { from: string }[];
  expect(foreignKeys.filter(({ from }) => live.has(from))).toEqual(
    declaredForeignKeys(model, synced)
      .map(({ column, references }) => ({ from: column, table: references.name, to: references.primaryKey }))
      .sort((a, b) => (a.from < b.from ? -1 : 1)),
  );
}
