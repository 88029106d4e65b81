import type { Dataverse } from '../../dataverse.ts';
import { setAndKey } from '../../http/path.ts';
import { noContent } from '../../http/responses.ts';
import { badRequest, methodNotAllowed, ServiceError } from '../../http/service-error.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from '../../http/service-request.ts';
import { type Payload, parsePayload } from '../../write/payload.ts';
import { metadataId } from '../labels.ts';
import type { Table } from '../model.ts';
import { lookupColumn, resolveLookups } from '../model-builder.ts';
import { requirePrivilege } from '../privileges.ts';
import { textOf } from './payload-texts.ts';

/** Creates or deletes a relationship (learn.microsoft.com: Create and update table relationships). */
export function writeRelationship(
  dataverse: Dataverse,
  request: ServiceRequest,
  segment: string,
): ServiceResponse {
  const { key } = setAndKey(segment);
  if (request.method === 'DELETE') {
    requirePrivilege(dataverse.store, 'prvDeleteEntity');
    return remove(dataverse, /^SchemaName='(.*)'$/.exec(key ?? '')?.[1] ?? '');
  }
  if (request.method !== 'POST' || key !== undefined) throw methodNotAllowed(request.method);
  requirePrivilege(dataverse.store, 'prvCreateAttribute');
  const payload = parsePayload(request.body);
  const kind = /(\w+)RelationshipMetadata$/.exec(String(payload['@odata.type']))?.[1];
  if (kind === 'OneToMany') createLookup(dataverse, payload);
  else if (kind === 'ManyToMany') createManyToMany(dataverse, payload);
  else throw badRequest("The relationship has no '@odata.type' that can be created.", '0x80048d19');
  const id = metadataId('relationship', textOf(payload, 'SchemaName'));
  return noContent({ 'odata-entityid': `${request.origin}${apiRoot}/RelationshipDefinitions(${id})` });
}

function createLookup(dataverse: Dataverse, payload: Payload): void {
  const { store, schema } = dataverse;
  const from = known(dataverse, textOf(payload, 'ReferencingEntity'));
  const to = known(dataverse, textOf(payload, 'ReferencedEntity'));
  const schemaName = textOf((payload['Lookup'] ?? {}) as Payload, 'SchemaName');
  const column = lookupColumn(schemaName, [[to.logicalName, schemaName]]);
  column.targets![0]!.relationship = textOf(payload, 'SchemaName');
  if (from.columns.some(({ name }) => name === column.name)) {
    throw badRequest(`Attribute ${schemaName} already exists for entity ${from.logicalName}.`, '0x80047013');
  }
  schema.addColumn(from.logicalName, column.name, { ...column, schemaName });
  resolveLookups(store.model, from);
}

function createManyToMany(dataverse: Dataverse, payload: Payload): void {
  const one = known(dataverse, textOf(payload, 'Entity1LogicalName'));
  const two = known(dataverse, textOf(payload, 'Entity2LogicalName'));
  const name = textOf(payload, 'IntersectEntityName');
  const navigation = textOf(payload, 'SchemaName');
  if (dataverse.store.model.tables.has(name)) {
    throw badRequest(`An entity with the specified name ${name} already exists.`, '0x80044363');
  }
  const column = ({ primaryId }: Table, other: string) =>
    primaryId === other ? `${primaryId}two` : primaryId;
  dataverse.schema.addTable({
    name,
    set: `${name}set`,
    intersect: [
      [one.logicalName, one.primaryId, navigation],
      [two.logicalName, column(two, one.primaryId), navigation],
    ],
  });
}

function remove({ store, schema }: Dataverse, name: string): ServiceResponse {
  for (const table of [...store.model.tables.values()]) {
    if (table.intersect?.relationship === name) {
      schema.dropTable(table.logicalName);
      return noContent();
    }
    for (const column of table.columns) {
      if (!column.targets?.some((target) => target.relationship === name)) continue;
      schema.dropColumn(table.logicalName, column.name);
      return noContent();
    }
  }
  throw new ServiceError(404, '0x80060888', `There is no relationship ${name} that can be deleted.`);
}

function known({ store }: Dataverse, name: string): Table {
  const table = store.model.tables.get(name);
  if (table === undefined) throw badRequest(`There is no entity ${name}.`, '0x80044363');
  return table;
}
