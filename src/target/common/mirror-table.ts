import type { TableConfig } from '../../config/entities.ts';
import { ofType } from '../../schema/column-types.ts';
import { quoteIdentifier as quote } from '../../schema/sql.ts';
import type { Column, Table } from '../../schema/table.ts';

/** When a row was deleted in Dataverse that the mirror keeps (`deletes: "mark"`): ISO 8601, UTC. */
export const deletedAtColumn = '_deleted_at';
/** The record as Dataverse sent it (`rawJson: true`). */
export const rawJsonColumn = '_json';
/** The version of the row by its ETag, for a table without `versionnumber`: it shows whether a row changed. */
export const versionColumn = '_version';

const ownColumn = (name: string): Column => ({ name, edmType: 'sync', ...ofType('text') });

/**
 * The table as the mirror holds it: the columns of Dataverse, and those that the options of the table add.
 * @param options `exact`: the database has exact numbers, so decimals keep every digit whatever the configuration says
 */
export function mirrorTable(
  table: Table,
  config: Pick<TableConfig, 'deletes' | 'rawJson' | 'decimals'>,
  options: { exact?: boolean } = {},
): Table {
  const added: Column[] = [];
  if (table.versionColumn === undefined) added.push(ownColumn(versionColumn));
  if (config.deletes === 'mark') added.push(ownColumn(deletedAtColumn));
  if (config.rawJson) added.push(ownColumn(rawJsonColumn));
  const known = config.decimals === 'text' || options.exact ? table.columns.map(exactColumn) : table.columns;
  if (added.length === 0 && known === table.columns) return table;
  const columns = [...known, ...added];
  return { ...table, columns, versionColumn: table.versionColumn ?? versionColumn };
}

/** A decimal with every digit: SQLite's numbers round the last ones. Doubles are what Dataverse has, too. */
export function exactColumn(column: Column): Column {
  const isDecimal = column.reading === 'real' && !/^Edm\.(?:Double|Single)$/.test(column.edmType);
  return isDecimal ? { ...column, ...ofType('decimal') } : column;
}

/** Whether the mirror marks deleted rows of the table and keeps them. */
export function hasMarks(table: Table): boolean {
  return table.columns.some((column) => column.name === deletedAtColumn);
}

/** A WHERE clause that excludes rows marked as deleted; empty for a table without marks. */
export function liveRows(table: Table): string {
  return hasMarks(table) ? ` WHERE ${quote(deletedAtColumn)} IS NULL` : '';
}

/** The same as a condition to append to others. @param alias the alias of the table in the query */
export function andLive(table: Table, alias?: string): string {
  const column = alias === undefined ? quote(deletedAtColumn) : `${alias}.${quote(deletedAtColumn)}`;
  return hasMarks(table) ? ` AND ${column} IS NULL` : '';
}

/** The table with every version of the rows of a table. */
export const historyName = (table: Pick<Table, 'name'>): string => `${table.name}_history`;

/** The ends of the names of views: `accounts_labelled`, `accounts_choice_values`. */
export const viewSuffixes = ['_labelled', '_choice_values'] as const;
