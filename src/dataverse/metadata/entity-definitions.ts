import { dataverseFault } from '../errors/errors.ts';
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

/** The two ends of an N:N relationship and the table between them. */
export interface ManyToManyRelationship {
  intersectEntityName: string;
  entity1LogicalName: string;
  entity1IntersectAttribute?: string;
  entity2LogicalName: string;
  entity2IntersectAttribute?: string;
}

const entityMembers =
  'LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,IsIntersect,ChangeTrackingEnabled';
const relationshipMembers =
  'IntersectEntityName,Entity1LogicalName,Entity1IntersectAttribute,Entity2LogicalName,Entity2IntersectAttribute';

/** Reads all entity definitions in one call: Dataverse does not page them. */
export async function readEntityDefinitions(
  transport: Transport,
  options: CallOptions = {},
): Promise<EntityDefinition[]> {
  const rows = await readDefinitions(transport, `EntityDefinitions?$select=${entityMembers}`, options);
  const unknown = { logicalName: '', isIntersect: false, changeTrackingEnabled: false };
  return rows.map((row) => ({ ...unknown, ...pick(row, entityMembers) }));
}

/** Reads all N:N relationships, each once, though both its tables list it. */
export async function readManyToMany(
  transport: Transport,
  options: CallOptions = {},
): Promise<ManyToManyRelationship[]> {
  const rows = await readRelationships(transport, options);
  const found = rows.map((row) => pick(row, relationshipMembers) as Partial<ManyToManyRelationship>);
  const whole = found.filter(
    (one): one is ManyToManyRelationship =>
      !!one.intersectEntityName && !!one.entity1LogicalName && !!one.entity2LogicalName,
  );
  return [...new Map(whole.map((one) => [one.intersectEntityName, one])).values()];
}

async function readRelationships(transport: Transport, options: CallOptions): Promise<Row[]> {
  const select = `$select=${relationshipMembers}`;
  try {
    const path = `EntityDefinitions?$select=LogicalName&$expand=ManyToManyRelationships(${select})`;
    const rows = await readDefinitions(transport, path, options);
    return rows.flatMap(({ ManyToManyRelationships: own }) => (Array.isArray(own) ? own : []));
  } catch (error) {
    const status = dataverseFault(error)?.status;
    if (status !== 400 && status !== 501) throw error;
    const path = `RelationshipDefinitions/Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata?${select}`;
    return readDefinitions(transport, path, options);
  }
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
