import type { Dataverse } from '../dataverse.ts';
import { readMetadata } from '../metadata/metadata-routes.ts';
import type { Table } from '../metadata/model.ts';
import { privilegeName } from '../metadata/privilege-names.ts';
import { callFunction, requirePrivilege } from '../metadata/privileges.ts';
import { changeOption } from '../metadata/writes/choice-writes.ts';
import { writeMetadata } from '../metadata/writes/metadata-writes.ts';
import { countSet, readRow, readSet } from '../query/data-routes.ts';
import { parseQueryOptions } from '../query/options/query-options.ts';
import { impersonated } from '../security/impersonation.ts';
import { answerRoles } from '../security/role-routes.ts';
import { writeMultiple } from '../write/bulk-routes.ts';
import { writeLink } from '../write/link-routes.ts';
import { patchRow, postRow, removeRow, writeProperty } from '../write/write-routes.ts';
import { answerBatch } from './batch.ts';
import { segmentsOf, setAndKey } from './path.ts';
import { json, noContent } from './responses.ts';
import { badRequest, methodNotAllowed, noSuchSegment, ServiceError } from './service-error.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from './service-request.ts';

/** In characters (learn.microsoft.com: Query data using the Web API). */
const longestUrl = { alone: 32_768, inBatch: 65_536 };

/**
 * Answers one request to the Web API.
 * @throws ServiceError with the error to send
 */
export function route(dataverse: Dataverse, request: ServiceRequest): ServiceResponse {
  const user = impersonated(dataverse, request);
  if (user === undefined) return routeForCaller(dataverse, request);
  return dataverse.store.actAs(user, () => routeForCaller(dataverse, request));
}

function routeForCaller(dataverse: Dataverse, request: ServiceRequest): ServiceResponse {
  const limit = request.inBatch ? longestUrl.inBatch : longestUrl.alone;
  if (request.path.length + request.query.length > limit) {
    throw badRequest('Invalid URI: The Uri string is too long.');
  }
  const segments = segmentsOf(request.path);
  if (segments === undefined) throw new ServiceError(404, '0x80060888', 'The resource cannot be found.');
  const [first] = segments;
  if (first === undefined) return serviceDocument(dataverse, request);
  if (first === '$batch') return answerBatch(request, (part) => route(dataverse, part), dataverse.store);
  if (first === '$metadata') return metadataDocument(dataverse, request);
  if (/^(EntityDefinitions|RelationshipDefinitions|GlobalOptionSetDefinitions)(\(|$)/.test(first))
    return metadata(dataverse, request, segments);
  const called = callFunction(dataverse, request, segments);
  if (called !== undefined) return called;
  const changed = changeOption(dataverse, request, first);
  if (changed !== undefined) return changed;
  const uploaded = dataverse.files.answerMessage(request, first);
  if (uploaded !== undefined) return uploaded;
  const aboutRoles = answerRoles(dataverse, request, segments);
  if (aboutRoles !== undefined) return aboutRoles;
  if (first === 'PublishXml' || first === 'PublishAllXml') return noContent();
  return data(dataverse, request, segments);
}

function data(dataverse: Dataverse, request: ServiceRequest, segments: readonly string[]): ServiceResponse {
  const [first = '', second, third] = segments;
  const { name, key } = setAndKey(first);
  const table = dataverse.store.model.bySet(name);
  if (table === undefined) throw noSuchSegment(name);
  requirePrivilege(dataverse.store, privilegeName(verbOf(request, table.intersect !== undefined), table));
  if (second === undefined)
    return key === undefined ? set(dataverse, request, table) : row(dataverse, request, table, key);
  if (key !== undefined) {
    const file = dataverse.files.answer(request, table, key, segments.slice(1));
    if (file !== undefined) return file;
    if (third === '$ref') return writeLink(dataverse, request, table, key, second);
    if (request.method === 'PUT' || request.method === 'DELETE') {
      return writeProperty(dataverse, request, table, key, second);
    }
  } else {
    if (second === '$count') return countSet(dataverse, request, table);
    const message = /^Microsoft\.Dynamics\.CRM\.((?:Create|Update|Upsert)Multiple)$/.exec(second)?.[1];
    if (message !== undefined && request.method === 'POST')
      return writeMultiple(dataverse, request, table, message);
  }
  throw noSuchSegment(second);
}

/** The privilege that a request needs. Links and bulk messages need the right to write. */
function verbOf(request: ServiceRequest, isIntersect: boolean): 'Create' | 'Read' | 'Write' | 'Delete' {
  if (request.method === 'GET' || isIntersect) return 'Read';
  if (request.method === 'DELETE' && !request.path.endsWith('$ref')) return 'Delete';
  const creates = request.method === 'POST' && !/(\$ref|U[a-z]+Multiple)$/.test(request.path);
  return creates ? 'Create' : 'Write';
}

function set(dataverse: Dataverse, request: ServiceRequest, table: Table): ServiceResponse {
  if (request.method === 'GET') return readSet(dataverse, request, table);
  if (request.method === 'POST') return postRow(dataverse, request, table);
  throw methodNotAllowed(request.method);
}

function row(dataverse: Dataverse, request: ServiceRequest, table: Table, key: string): ServiceResponse {
  if (request.method === 'GET') return readRow(dataverse, request, table, key);
  if (request.method === 'PATCH') return patchRow(dataverse, request, table, key);
  if (request.method === 'DELETE') return removeRow(dataverse, request, table, key);
  throw methodNotAllowed(request.method);
}

function serviceDocument(dataverse: Dataverse, request: ServiceRequest): ServiceResponse {
  const sets = [...dataverse.store.model.tables.values()].flatMap(({ entitySetName: name }) =>
    name === undefined ? [] : [{ name, kind: 'EntitySet', url: name }],
  );
  return json({ '@odata.context': `${request.origin}${apiRoot}/$metadata`, value: sets });
}

function metadataDocument(dataverse: Dataverse, request: ServiceRequest): ServiceResponse {
  const { annotations } = parseQueryOptions(request.query);
  const wanted = annotations || /include-annotations="?\*/.test(request.headers['prefer'] ?? '');
  return {
    status: 200,
    headers: { 'content-type': 'application/xml', 'odata-version': '4.0' },
    body: [dataverse.metadata.read(wanted)],
  };
}

function metadata(
  dataverse: Dataverse,
  request: ServiceRequest,
  segments: readonly string[],
): ServiceResponse {
  if (request.method !== 'GET') return writeMetadata(dataverse, request, segments);
  const options = parseQueryOptions(request.query);
  const answer = readMetadata(dataverse.store.model, segments, options);
  const context = { '@odata.context': `${request.origin}${apiRoot}/$metadata#${answer.context}` };
  return json(
    answer.items === undefined ? { ...context, ...answer.item } : { ...context, value: answer.items },
  );
}
