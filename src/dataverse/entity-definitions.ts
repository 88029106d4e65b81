import { dataverseFault } from './errors.ts';
import { parseRows } from './page.ts';
import { toPage } from './read-pages.ts';
import { type Call, type CallOptions, type Reply, type Transport, unreadable } from './transport.ts';

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

type Members = Record<string, unknown>;

/** Reads all entity definitions in one call: Dataverse does not page them. */
export async function readEntityDefinitions(
  transport: Transport,
  options: CallOptions = {},
): Promise<EntityDefinition[]> {
  const names =
    'LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,IsIntersect,ChangeTrackingEnabled';
  const rows = await readDefinitions(transport, `EntityDefinitions?$select=${names}`, options);
  return rows.map((row) => ({
    logicalName: text(row['LogicalName']) ?? '',
    entitySetName: text(row['EntitySetName']),
    primaryIdAttribute: text(row['PrimaryIdAttribute']),
    primaryNameAttribute: text(row['PrimaryNameAttribute']),
    isIntersect: row['IsIntersect'] === true,
    changeTrackingEnabled: row['ChangeTrackingEnabled'] === true,
  }));
}

/** Reads all N:N relationships, each once, though both its tables list it. */
export async function readManyToMany(
  transport: Transport,
  options: CallOptions = {},
): Promise<ManyToManyRelationship[]> {
  const names =
    'IntersectEntityName,Entity1LogicalName,Entity1IntersectAttribute,Entity2LogicalName,Entity2IntersectAttribute';
  const found = new Map<string, ManyToManyRelationship>();
  for (const row of await readRelationshipRows(transport, names, options)) {
    const intersectEntityName = text(row['IntersectEntityName']);
    const entity1LogicalName = text(row['Entity1LogicalName']);
    const entity2LogicalName = text(row['Entity2LogicalName']);
    if (!intersectEntityName || !entity1LogicalName || !entity2LogicalName) continue;
    found.set(intersectEntityName, {
      intersectEntityName,
      entity1LogicalName,
      entity1IntersectAttribute: text(row['Entity1IntersectAttribute']),
      entity2LogicalName,
      entity2IntersectAttribute: text(row['Entity2IntersectAttribute']),
    });
  }
  return [...found.values()];
}

async function readRelationshipRows(
  transport: Transport,
  names: string,
  options: CallOptions,
): Promise<Members[]> {
  try {
    const path = `EntityDefinitions?$select=LogicalName&$expand=ManyToManyRelationships($select=${names})`;
    const rows = await readDefinitions(transport, path, options);
    return rows.flatMap((row) =>
      Array.isArray(row['ManyToManyRelationships']) ? row['ManyToManyRelationships'] : [],
    );
  } catch (error) {
    const status = dataverseFault(error)?.status;
    if (status !== 400 && status !== 501) throw error;
    const path = `RelationshipDefinitions/Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata?$select=${names}`;
    return readDefinitions(transport, path, options);
  }
}

async function readDefinitions(transport: Transport, url: string, options: CallOptions): Promise<Members[]> {
  const call: Call = {
    ...options,
    operation: 'read the entity definitions',
    entity: 'EntityDefinitions',
    url,
    timeoutSeconds: 300,
  };
  return transport.send(call, (reply) => toRows(call, reply));
}

function toRows(call: Call, reply: Reply): Members[] {
  try {
    return parseRows(toPage(call, reply));
  } catch {
    throw unreadable(call, reply, 'it is no list of definitions');
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
