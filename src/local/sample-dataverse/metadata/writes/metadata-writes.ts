import type { Dataverse } from '../../dataverse.ts';
import { setAndKey } from '../../http/path.ts';
import { noContent } from '../../http/responses.ts';
import { badRequest, methodNotAllowed, ServiceError } from '../../http/service-error.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from '../../http/service-request.ts';
import { keyReader } from '../../query/row-key.ts';
import { NumberText, type Payload, parsePayload } from '../../write/payload.ts';
import { metadataId } from '../labels.ts';
import { type Column, columnIndex, type Model, type Table } from '../model.ts';
import { choiceColumn, columns } from '../model-builder.ts';
import { requirePrivilege } from '../privileges.ts';
import { choiceOf, writeGlobalChoice } from './choice-writes.ts';
import { deleteDefinition, updateColumn } from './definition-changes.ts';
import { labelText, textOf } from './payload-texts.ts';
import { writeRelationship } from './relationship-writes.ts';

/**
 * Answers requests that create, change and delete tables, columns and keys or turn change tracking on
 * (learn.microsoft.com: Create and update table definitions using the Web API).
 */
export function writeMetadata(
  dataverse: Dataverse,
  request: ServiceRequest,
  segments: readonly string[],
): ServiceResponse {
  const [first = '', second] = segments;
  if (first.startsWith('GlobalOptionSetDefinitions')) return writeGlobalChoice(dataverse, request, first);
  if (first.startsWith('RelationshipDefinitions')) return writeRelationship(dataverse, request, first);
  const { key } = setAndKey(first);
  if (request.method === 'DELETE') return deleteDefinition(dataverse, tableOf(dataverse, key), second);
  const payload = parsePayload(request.body);
  if (request.method === 'POST' && key === undefined) return createTable(dataverse, request, payload);
  const table = tableOf(dataverse, key);
  if (request.method === 'POST' && second === 'Attributes')
    return createColumn(dataverse, request, table, payload);
  if (request.method === 'POST' && second === 'Keys') return createKey(dataverse, request, table, payload);
  if (request.method === 'PUT' && second === undefined) return updateTable(dataverse, table, payload);
  if (request.method === 'PUT' && second?.startsWith('Attributes(')) {
    return updateColumn(dataverse, table, second, payload);
  }
  throw methodNotAllowed(request.method);
}

function tableOf(dataverse: Dataverse, key: string | undefined): Table {
  const name = /^LogicalName='(.*)'$/.exec(key ?? '')?.[1];
  for (const table of dataverse.store.model.tables.values()) {
    if (table.logicalName === name || metadataId(table.logicalName) === key?.toLowerCase()) return table;
  }
  throw new ServiceError(404, '0x80060888', `Could not find an entity with the key ${key}.`);
}

function createTable(dataverse: Dataverse, request: ServiceRequest, payload: Payload): ServiceResponse {
  requirePrivilege(dataverse.store, 'prvCreateEntity');
  const schemaName = textOf(payload, 'SchemaName');
  const name = schemaName.toLowerCase();
  if (dataverse.store.model.tables.has(name)) {
    throw badRequest(`An entity with the specified name ${name} already exists.`, '0x80044363');
  }
  const attributes = (payload['Attributes'] ?? []) as Payload[];
  const own = attributes.map((attribute) => columnOf(dataverse.store.model, attribute));
  const primary = attributes.findIndex((attribute) => attribute['IsPrimaryName'] === true);
  if (primary < 0) throw badRequest('The primary name attribute is missing.', '0x80044363');
  const wanted =
    payload['OwnershipType'] === 'UserOwned' ? [...systemColumns, ...ownerColumns] : systemColumns;
  const system = dataverse.store
    .table('account')
    .columns.filter((column) => wanted.includes(column.logicalName));
  dataverse.schema.addTable({
    name,
    schemaName,
    set: typeof payload['EntitySetName'] === 'string' ? payload['EntitySetName'] : plural(name),
    displayName: labelText(payload['DisplayName']) ?? schemaName,
    primaryName: own[primary]!.name,
    tracked: payload['ChangeTrackingEnabled'] === true,
    columns: [...columns({ [`${name}id`]: 'id' }), ...own, ...structuredClone(system)],
  });
  return created(request, `EntityDefinitions(${metadataId(name)})`);
}

/** The columns that the service adds to every table, and to tables whose rows have an owner. */
const systemColumns = [
  ...['createdon', 'modifiedon', 'versionnumber', 'createdby', 'modifiedby', 'statecode', 'statuscode'],
];
const ownerColumns = ['ownerid', 'owninguser', 'owningteam', 'owningbusinessunit'];

function createColumn(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  payload: Payload,
): ServiceResponse {
  requirePrivilege(dataverse.store, 'prvCreateAttribute');
  const column = columnOf(dataverse.store.model, payload);
  if (columnIndex(table, column.name) >= 0) {
    throw badRequest(
      `Attribute ${column.name} already exists for entity ${table.logicalName}.`,
      '0x80047013',
    );
  }
  dataverse.schema.addColumn(table.logicalName, column.name, column);
  const id = metadataId(table.logicalName, column.logicalName);
  return created(request, `EntityDefinitions(${metadataId(table.logicalName)})/Attributes(${id})`);
}

function createKey(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  payload: Payload,
): ServiceResponse {
  requirePrivilege(dataverse.store, 'prvCreateEntityKey');
  const name = textOf(payload, 'SchemaName');
  const names = payload['KeyAttributes'];
  if (!Array.isArray(names) || names.length === 0 || names.length > 16) {
    throw badRequest('A key has 1 to 16 attributes.', '0x80060887');
  }
  const parts = names.map((each) => {
    const column = table.columns.find(({ logicalName }) => logicalName === each);
    if (column === undefined) throw badRequest(`The attribute ${String(each)} does not exist.`, '0x80060887');
    return column.name;
  });
  if (table.alternateKeys.some((key) => key.name.toLowerCase() === name.toLowerCase())) {
    throw badRequest(`A key with the name ${name} already exists.`, '0x80060886');
  }
  // The service builds the index of a key in the background, so the first read does not find it active.
  const failed = hasDuplicates(dataverse, table, parts);
  table.alternateKeys.push({ name, columns: parts, pendingReads: 1, failed });
  dataverse.store.schemaChanged();
  return created(
    request,
    `EntityDefinitions(${metadataId(table.logicalName)})/Keys(${metadataId(table.logicalName, name)})`,
  );
}

function hasDuplicates(dataverse: Dataverse, table: Table, parts: readonly string[]): boolean {
  const keyOf = keyReader(table, parts);
  const keys = [...dataverse.store.rowsOf(table).all()].map(keyOf).filter((key) => key !== undefined);
  return new Set(keys).size < keys.length;
}

function updateTable(dataverse: Dataverse, table: Table, payload: Payload): ServiceResponse {
  requirePrivilege(dataverse.store, 'prvWriteEntity');
  if (payload['ChangeTrackingEnabled'] === true) dataverse.schema.enableChangeTracking(table.logicalName);
  return noContent();
}

function columnOf(model: Model, payload: Payload): Column {
  const kind = /(\w+)AttributeMetadata$/.exec(String(payload['@odata.type'] ?? ''))?.[1];
  const schemaName = textOf(payload, 'SchemaName');
  const choice = choiceKinds[kind ?? ''];
  if (choice !== undefined) {
    const name = schemaName.toLowerCase();
    const column = choiceColumn(name, choice, []);
    return { ...column, schemaName, choice: choiceOf(model, payload, choice) };
  }
  const word = kind === undefined ? undefined : attributeWord(kind, payload);
  if (word === undefined) {
    throw badRequest(`The attribute ${schemaName} has no '@odata.type' that can be created.`, '0x80048d19');
  }
  return { ...columns({ [schemaName.toLowerCase()]: word })[0]!, schemaName };
}

const choiceKinds: Record<string, 'choice' | 'multichoice' | undefined> = {
  Picklist: 'choice',
  MultiSelectPicklist: 'multichoice',
};

function attributeWord(kind: string, payload: Payload): string | undefined {
  const number = (name: string, otherwise: number): number => {
    const value = payload[name];
    return value instanceof NumberText ? Number(value.digits) : otherwise;
  };
  switch (kind) {
    case 'String':
      return `text:${number('MaxLength', 100)}`;
    case 'Memo':
      return 'memo';
    case 'Integer':
      return 'int';
    case 'BigInt':
      return 'int64';
    case 'Double':
      return 'double';
    case 'Boolean':
      return 'bool';
    case 'Money':
      return 'money';
    case 'File':
      return 'file';
    case 'Image':
      return 'binary';
    case 'DateTime':
      return payload['Format'] === 'DateOnly' ? 'date' : 'datetime';
    case 'Decimal': {
      const scale = number('Precision', 2);
      const largest = Math.max(number('MaxValue', 1e11), -number('MinValue', -1e11));
      return `decimal:${String(Math.floor(largest)).length + scale}:${scale}`;
    }
    default:
      return undefined;
  }
}

/** The set name that Dataverse gives a table: `apex_campaignmetrics` → `apex_campaignmetricses`. */
function plural(name: string): string {
  if (/(s|x|z|ch|sh)$/.test(name)) return `${name}es`;
  return /[^aeiou]y$/.test(name) ? `${name.slice(0, -1)}ies` : `${name}s`;
}

function created(request: ServiceRequest, path: string): ServiceResponse {
  return noContent({ 'odata-entityid': `${request.origin}${apiRoot}/${path}` });
}
