import { quoteIdentifier } from './sql.ts';
import type { Column, Table } from './table.ts';

export interface DdlOptions {
  /** The tables that stand in the same database; foreign keys and indexes reach only these. */
  synced?: readonly Table[] | undefined;
}

/** A foreign key that SQLite can hold: from one column to the primary key of one table. */
export interface DeclaredForeignKey {
  column: string;
  references: Table;
}

/**
 * `CREATE TABLE` for a table: a rowid table with a text key (half the size and twice the speed of WITHOUT ROWID for
 * rows as wide as these). Foreign keys are declared for readers and tools; the mirror never enforces them, because a
 * row may arrive before the one it points to.
 */
export function createTableSql(table: Table, options: DdlOptions = {}): string {
  const declared = declaredForeignKeys(table, options.synced);
  const columns = [...table.columns, ...(table.staleColumns ?? [])].map((column) =>
    columnSql(column, column.name === table.primaryKey, declared),
  );
  return `CREATE TABLE ${quoteIdentifier(table.name)} (\n  ${columns.join(',\n  ')}\n)`;
}

/** `ALTER TABLE … ADD COLUMN`; the rows that stand there get NULL. */
export function addColumnSql(table: Table, column: Column, options: DdlOptions = {}): string {
  const definition = columnSql(column, false, declaredForeignKeys(table, options.synced));
  return `ALTER TABLE ${quoteIdentifier(table.name)} ADD COLUMN ${definition}`;
}

/**
 * One index for each foreign key column that points to a synced table, and no others: every index multiplies the
 * blocks of the file that a changed row touches.
 */
export function indexSql(table: Table, options: DdlOptions = {}): string[] {
  const synced = new Set(options.synced?.map(({ logicalName }) => logicalName));
  const columns = new Set(table.columns.map(({ name }) => name));
  return table.foreignKeys
    .filter(({ column }) => column !== table.primaryKey && columns.has(column))
    .filter(({ targets }) => targets.some((target) => synced.has(target)))
    .map(
      ({ column }) =>
        `CREATE INDEX IF NOT EXISTS ${quoteIdentifier(indexName(table, column))} ON ${quoteIdentifier(table.name)} (${quoteIdentifier(column)})`,
    );
}

/**
 * The name of a column's index: `accounts._ownerid_value`. No name of Dataverse holds a dot, so it can meet neither
 * another index's name nor a table's.
 */
export function indexName(table: Table, column: string): string {
  return `${table.name}.${column}`;
}

/** The foreign keys declared in a table. SQLite has none that point to several tables. */
export function declaredForeignKeys(table: Table, synced: readonly Table[] = []): DeclaredForeignKey[] {
  return table.foreignKeys.flatMap(({ column, targets }) => {
    if (targets.length !== 1) return [];
    const references = synced.find(({ logicalName }) => logicalName === targets[0]);
    return references === undefined ? [] : [{ column, references }];
  });
}

function columnSql(column: Column, primaryKey: boolean, declared: DeclaredForeignKey[]): string {
  const target = declared.find((key) => key.column === column.name)?.references;
  return [
    quoteIdentifier(column.name),
    primaryKey ? 'TEXT PRIMARY KEY NOT NULL' : column.type,
    ...(target === undefined
      ? []
      : [`REFERENCES ${quoteIdentifier(target.name)} (${quoteIdentifier(target.primaryKey)})`]),
  ].join(' ');
}
