import type { CallOptions } from '../transport/call.ts';
import { type Row, readList } from '../transport/reply.ts';
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

const members = [
  'LogicalName',
  'EntitySetName',
  'PrimaryIdAttribute',
  'PrimaryNameAttribute',
  'IsIntersect',
  'ChangeTrackingEnabled',
];

/** Reads all entity definitions with one request: Dataverse does not page them. */
export async function readEntityDefinitions(
  transport: Transport,
  options: CallOptions = {},
): Promise<EntityDefinition[]> {
  const call = {
    ...options,
    operation: 'read the entity definitions',
    entitySet: 'EntityDefinitions',
    url: `EntityDefinitions?$select=${members.join(',')}`,
    timeoutSeconds: 300,
  };
  return (await transport.send(call, readList)).map(toDefinition);
}

/** The members under their names with a lower-case first letter, without empty ones. */
function toDefinition(row: Row): EntityDefinition {
  const definition: EntityDefinition = { logicalName: '', isIntersect: false, changeTrackingEnabled: false };
  const given = members
    .filter((name) => typeof row[name] === 'boolean' || (typeof row[name] === 'string' && row[name] !== ''))
    .map((name) => [name.charAt(0).toLowerCase() + name.slice(1), row[name]]);
  return Object.assign(definition, Object.fromEntries(given));
}
