import { dataverseFault } from '../errors/errors.ts';
import type { CallOptions } from '../transport/call.ts';
import { readList } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { type Label, labelOf } from './label.ts';

/** What Dataverse states about a table besides its columns (learn.microsoft.com: "EntityMetadata EntityType"). */
export interface EntityDefinition {
  logicalName: string;
  /** Undefined for tables that the Web API does not expose. */
  entitySetName?: string;
  primaryIdAttribute?: string;
  primaryNameAttribute?: string;
  isIntersect: boolean;
  changeTrackingEnabled: boolean;
  /** Whether it is an elastic table; false as well if Dataverse does not say. */
  isElastic: boolean;
  displayName: Label | undefined;
  description: Label | undefined;
}

const select =
  'LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,IsIntersect,ChangeTrackingEnabled,DisplayName,Description';

/** A property that older environments do not have. */
const newerSelect = `${select},TableType`;

/** Reads all entity definitions with one request: Dataverse does not page them. */
export async function readEntityDefinitions(
  transport: Transport,
  options: CallOptions = {},
): Promise<EntityDefinition[]> {
  const call = {
    ...options,
    operation: 'read the entity definitions',
    entitySet: 'EntityDefinitions',
    url: `EntityDefinitions?$select=${newerSelect}`,
    timeoutSeconds: 300,
  };
  const rows = await transport.send(call, readList).catch((error) => {
    if (dataverseFault(error)?.status !== 400) throw error;
    return transport.send({ ...call, url: `EntityDefinitions?$select=${select}` }, readList);
  });
  return rows.map((row) => ({
    logicalName: text(row['LogicalName']) ?? '',
    entitySetName: text(row['EntitySetName']),
    primaryIdAttribute: text(row['PrimaryIdAttribute']),
    primaryNameAttribute: text(row['PrimaryNameAttribute']),
    isIntersect: row['IsIntersect'] === true,
    changeTrackingEnabled: row['ChangeTrackingEnabled'] === true,
    isElastic: row['TableType'] === 'Elastic',
    displayName: labelOf(row['DisplayName']),
    description: labelOf(row['Description']),
  }));
}

/** A member's text; undefined if it is empty. */
function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
