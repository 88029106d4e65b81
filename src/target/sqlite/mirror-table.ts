import type { TableConfig } from '../../config/entities.ts';
import { ofType } from '../../schema/column-types.ts';
import { quoteIdentifier } from '../../schema/sql.ts';
import type { Column, Table } from '../../schema/table.ts';

/** Set where a row was deleted in Dataverse and is kept (`deletes: "mark"`): ISO 8601, UTC. */
export const deletedAtColumn = '_deleted_at';
/** The record as it was sent (`rawJson: true`). */
export const rawJsonColumn = '_json';
/** The row's version by its ETag, for tables without a `versionnumber`: by it a changed row is told from an old one. */
export const versionColumn = '_version';

const ownColumn = (name: string): Column => ({ name, edmType: 'sync', ...ofType('text') });

/** The table as the mirror holds it: Dataverse's columns, and those that the entity's options add. */
export function mirrorTable(table: Table, config: TableConfig): Table {
  const columns = [...table.columns];
  const versioned = table.versionColumn !== undefined;
  if (!versioned) columns.push(ownColumn(versionColumn));
  if (config.deletes === 'mark') columns.push(ownColumn(deletedAtColumn));
  if (config.rawJson) columns.push(ownColumn(rawJsonColumn));
  if (columns.length === table.columns.length) return table;
  return { ...table, columns, ...(versioned ? {} : { versionColumn }) };
}

/** The condition that leaves out rows which are only marked as deleted; empty for a table without marks. */
export function liveRows(table: Table): string {
  const marks = table.columns.some((column) => column.name === deletedAtColumn);
  return marks ? ` WHERE ${quoteIdentifier(deletedAtColumn)} IS NULL` : '';
}
