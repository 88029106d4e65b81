import { ConfigurationError, SyncError } from '../errors.ts';
import type { Csdl } from './csdl.ts';
import { CsdlIndex } from './csdl-index.ts';
import type { Table } from './table.ts';
import { type TableDefinition, type TableOptions, tableFromCsdl, unknownTable } from './table-from-csdl.ts';

/** A table to make a model of: its logical name alone, or with options. */
export type TableRequest = string | ({ logicalName: string } & TableOptions);

export interface TableFailure {
  logicalName: string;
  error: SyncError;
}

/** The models of the requested tables, in their order. A table without a model is a failure and does not stop the others. */
export function resolveTables(
  csdl: Csdl,
  definitions: Iterable<TableDefinition>,
  requests: Iterable<TableRequest>,
): { tables: Table[]; failures: TableFailure[] } {
  const index = CsdlIndex.of(csdl);
  const byName = new Map([...definitions].map((definition) => [definition.logicalName, definition]));
  const isTracked = (logicalName: string): boolean =>
    byName.get(logicalName)?.changeTracking ?? index.set(logicalName)?.changeTracking ?? false;
  const tables: Table[] = [];
  const failures: TableFailure[] = [];
  for (const request of requests) {
    const { logicalName, ...options } = typeof request === 'string' ? { logicalName: request } : request;
    try {
      const definition = byName.get(logicalName) ?? definitionFromCsdl(index, logicalName);
      const table = tableFromCsdl(csdl, definition, options);
      tables.push({ ...table, changeTracking: table.changeTracking || bothEndsTracked(table, isTracked) });
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      failures.push({ logicalName, error });
    }
  }
  return { tables, failures };
}

/** The definition of a table that `EntityDefinitions` does not list or that the caller may not read there. */
function definitionFromCsdl(index: CsdlIndex, logicalName: string): TableDefinition {
  if (index.type(logicalName) === undefined) throw unknownTable(index, logicalName);
  const set = index.set(logicalName);
  if (set === undefined) {
    throw new ConfigurationError(`Table ${logicalName} has no entity set, so its rows cannot be read`, {
      operation: 'look up a table',
      object: logicalName,
      hint: 'Remove it from entities.json.',
    });
  }
  return { logicalName, entitySetName: set.name };
}

/**
 * Dataverse tracks the changes of an N:N table if it tracks those of both tables that it connects
 * (learn.microsoft.com: Web service error codes, ChangeTrackingNotEnabledForRelatedEntities).
 */
function bothEndsTracked(table: Table, isTracked: (logicalName: string) => boolean): boolean {
  if (!table.intersect || table.foreignKeys.length === 0) return false;
  return table.foreignKeys.every(({ targets }) => targets.every(isTracked));
}
