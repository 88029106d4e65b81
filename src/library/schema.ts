/**
 * Dataverse's metadata as tables of SQLite: `dataverse-sqlite-sync/schema`.
 * @module
 */
import { parseCsdl } from '../schema/csdl.ts';
import type { Table } from '../schema/table.ts';
import type { TableDefinition } from '../schema/table-from-csdl.ts';
import { resolveTables, type TableFailure, type TableRequest } from '../schema/tables-from-csdl.ts';

export { ConfigurationError, SyncError } from '../errors.ts';
export { type Migration, migrationSql, type SchemaChange } from '../schema/migration.ts';
export { createTableSql, indexSql, quoteIdentifier } from '../schema/sql.ts';
export type { Column, ForeignKey } from '../schema/table.ts';
export type { Table, TableDefinition, TableFailure, TableRequest };

/**
 * The tables of a metadata document, as the mirror has them.
 * @param document the body of `GET /api/data/v9.2/$metadata`
 * @param tables logical names, or names with the columns that are wanted
 * @param definitions what `EntityDefinitions` says beyond that: primary columns, change tracking
 * @throws ConfigurationError if the document is not that of Dataverse
 * @example
 * const { tables } = tablesFromMetadata(document, ['account', 'contact']);
 * for (const table of tables) database.exec(createTableSql(table, { synced: tables }));
 */
export function tablesFromMetadata(
  document: Uint8Array | string,
  tables: Iterable<TableRequest>,
  definitions: Iterable<TableDefinition> = [],
): { tables: Table[]; failures: TableFailure[] } {
  return resolveTables(parseCsdl(document), definitions, tables);
}
