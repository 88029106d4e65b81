import type { CallOptions } from '../transport/call.ts';
import { readList } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';

/** What Dataverse states about a table besides its columns (learn.microsoft.com: "EntityMetadata EntityType"). */
export interface EntityDefinition {
  logicalName: string;
  /** Undefined for tables that the Web API does not expose. */
  entitySetName?: string;
  primaryIdAttribute?: string;
  primaryNameAttribute?: string;
  isIntersect: boolean;
  changeTrackingEnabled: boolean;
}

const select =
  'LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,IsIntersect,ChangeTrackingEnabled';

/** Reads all entity definitions with one request: Dataverse does not page them. */
export async function readEntityDefinitions(
  transport: Transport,
  options: CallOptions = {},
): Promise<EntityDefinition[]> {
  const call = {
    ...options,
    operation: 'read the entity definitions',
    entitySet: 'EntityDefinitions',
    url: `EntityDefinitions?$select=${select}`,
    timeoutSeconds: 300,
  };
  const rows = await transport.send(call, readList);
  return rows.map((row) => ({
    logicalName: text(row['LogicalName']) ?? '',
    entitySetName: text(row['EntitySetName']),
    primaryIdAttribute: text(row['PrimaryIdAttribute']),
    primaryNameAttribute: text(row['PrimaryNameAttribute']),
    isIntersect: row['IsIntersect'] === true,
    changeTrackingEnabled: row['ChangeTrackingEnabled'] === true,
  }));
}

/** A member's text; undefined if it is empty. */
function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
