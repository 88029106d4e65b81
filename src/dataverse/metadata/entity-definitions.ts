import { type Row, readList } from '../transport/json-reply.ts';
import type { CallOptions, Transport } from '../transport/transport.ts';

/** What Dataverse says of a table besides its columns (learn.microsoft.com: "EntityMetadata EntityType"). */
export interface EntityDefinition {
  logicalName: string;
  /** Undefined for tables that the Web API does not offer. */
  entitySetName?: string;
  primaryIdAttribute?: string;
  primaryNameAttribute?: string;
  isIntersect: boolean;
  changeTrackingEnabled: boolean;
}

const entityMembers =
  'LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,IsIntersect,ChangeTrackingEnabled';

/** Reads all entity definitions in one call: Dataverse does not page them. */
export async function readEntityDefinitions(
  transport: Transport,
  options: CallOptions = {},
): Promise<EntityDefinition[]> {
  const rows = await readDefinitions(transport, `EntityDefinitions?$select=${entityMembers}`, options);
  const unknown = { logicalName: '', isIntersect: false, changeTrackingEnabled: false };
  return rows.map((row) => ({ ...unknown, ...pick(row, entityMembers) }));
}

function readDefinitions(transport: Transport, url: string, options: CallOptions): Promise<Row[]> {
  const named = { operation: 'read the entity definitions', entity: 'EntityDefinitions' };
  return transport.send({ ...options, ...named, url, timeoutSeconds: 300 }, readList);
}

/** Some members of a definition under their names here, which begin with a small letter; empty ones are left out. */
function pick(row: Row, members: string): Row {
  const isGiven = (value: unknown) =>
    typeof value === 'boolean' || (typeof value === 'string' && value !== '');
  const given = members.split(',').filter((name) => isGiven(row[name]));
  return Object.fromEntries(given.map((name) => [name.charAt(0).toLowerCase() + name.slice(1), row[name]]));
}
