import type { DataverseClient } from '../dataverse/client.ts';
import { dataverseFault } from '../dataverse/errors/errors.ts';
import { checkName } from '../dataverse/read/query.ts';
import { type Row, readObject } from '../dataverse/transport/reply.ts';
import { RetriableError } from '../errors.ts';

/** What a table's definition says about reading and writing it. */
export interface TableRights {
  logicalName: string;
  changeTracking: boolean;
  /** The privileges of the table by type (`Read`). Empty for tables that have none of their own, as intersect tables. */
  privileges: Map<string, Privilege>;
}

export interface Privilege {
  /** `prvReadAccount`. Not always made of the table's name: all activities share `prvReadActivity`. */
  name: string;
  id: string;
}

/**
 * Reads the privileges of a table and whether change tracking is on (learn.microsoft.com: EntityMetadata EntityType,
 * `Privileges`; SecurityPrivilegeMetadata ComplexType).
 * @returns undefined if Dataverse has no such table
 */
export async function readTableRights(
  client: Pick<DataverseClient, 'request'>,
  table: string,
  signal?: AbortSignal,
): Promise<TableRights | undefined> {
  const path = `EntityDefinitions(LogicalName='${checkName(table, 'table name')}')`;
  const url = `${path}?$select=LogicalName,ChangeTrackingEnabled,Privileges`;
  const operation = `read the definition of ${table}`;
  const reply = await client.request({ operation, url, signal }).catch((error: unknown) => {
    if (dataverseFault(error)?.status === 404) return undefined;
    throw error;
  });
  if (reply === undefined) return undefined;
  const definition = readObject(reply);
  const privileges = ((definition['Privileges'] ?? []) as Row[]).map((one) => {
    const name = String(one['Name']);
    // Reports show it.
    if (!/^prv\w{1,120}$/.test(name))
      throw new RetriableError(`The definition of ${table} names no privileges.`);
    return [String(one['PrivilegeType']), { name, id: String(one['PrivilegeId']) }] as const;
  });
  return {
    logicalName: table,
    changeTracking: definition['ChangeTrackingEnabled'] === true,
    privileges: new Map(privileges),
  };
}

/** What the app needs besides the privileges of the tables: to read definitions of tables and columns. */
export const generalPrivileges = ['prvReadEntity', 'prvReadAttribute'] as const;

/** What campaign metrics need on their table. */
export const metricsVerbs = ['Create', 'Read', 'Write'] as const;
