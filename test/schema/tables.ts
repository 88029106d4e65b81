import { DatabaseSync } from 'node:sqlite';
import type { Column, Table } from '../../src/schema/table.ts';
import type { SqliteReader } from '../../src/schema/table-from-sqlite.ts';

export function column(name: string, reading: Column['reading'], edmType = 'Edm.String'): Column {
  const types = {
    text: 'TEXT',
    guid: 'TEXT',
    json: 'TEXT',
    integer: 'INTEGER',
    boolean: 'INTEGER',
    real: 'REAL',
    base64: 'BLOB',
  } as const;
  return { name, property: name, edmType, type: types[reading], reading };
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

export function reader(database: DatabaseSync): SqliteReader {
  return { all: (sql, params = []) => database.prepare(sql).all(...params) };
}
