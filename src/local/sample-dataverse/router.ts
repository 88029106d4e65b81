import { countSet, jsonHeaders, readRow, readSet } from './data-routes.ts';
import type { Dataverse } from './dataverse.ts';
import { Fragment } from './fragment.ts';
import { readMetadata } from './metadata-routes.ts';
import { parseQueryOptions } from './query-options.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from './service.ts';
import { badRequest, noSuchSegment, ServiceError } from './service-error.ts';

/** learn.microsoft.com: Query data using the Web API: 32 KB for a URL, 64 KB inside a batch. */
const longestUrl = 32_768;

/** Answers one request; refusals are thrown as ServiceError. */
export async function route(dataverse: Dataverse, request: ServiceRequest): Promise<ServiceResponse> {
  if (request.path.length + request.query.length > longestUrl) {
    throw badRequest('Invalid URI: The Uri string is too long.');
  }
  const segments = segmentsOf(request.path);
  const [first] = segments;
  if (first === undefined) return serviceDocument(dataverse, request);
  if (first === '$metadata') return metadataDocument(dataverse, request);
  if (/^(EntityDefinitions|RelationshipDefinitions)(\(|$)/.test(first))
    return metadata(dataverse, request, segments);
  return data(dataverse, request, segments);
}

/** The parts of the path below the API's root. A slash inside brackets belongs to a key. */
function segmentsOf(path: string): string[] {
  const match = /^\/api\/data\/v9\.\d(?:\/(.*))?$/s.exec(path);
  if (match === null)
    throw new ServiceError(404, '0x80060888', `Resource not found for the segment '${path}'.`);
  return [...(match[1] ?? '').matchAll(/(?:\((?:'(?:[^']|'')*'|[^')])*\)|[^/(])+/g)].map(
    ([segment]) => segment,
  );
}

function data(dataverse: Dataverse, request: ServiceRequest, segments: readonly string[]): ServiceResponse {
  const { name, key } = setAndKey(segments[0]!);
  const table = dataverse.store.model.bySet(name);
  if (table === undefined) throw noSuchSegment(name);
  if (request.method !== 'GET') throw methodNotAllowed(request);
  if (segments.length === 1) {
    return key === undefined ? readSet(dataverse, request, table) : readRow(dataverse, request, table, key);
  }
  if (segments.length === 2 && segments[1] === '$count' && key === undefined) {
    return countSet(dataverse, request, table);
  }
  throw noSuchSegment(segments[1]!);
}

/** `accounts(…)` in its parts. */
export function setAndKey(segment: string): { name: string; key?: string } {
  const open = segment.indexOf('(');
  if (open < 0 || !segment.endsWith(')')) return { name: segment };
  return { name: segment.slice(0, open), key: segment.slice(open + 1, -1) };
}

export function methodNotAllowed(request: ServiceRequest): ServiceError {
  return new ServiceError(
    405,
    '0x80060888',
    `The requested resource does not support http method '${request.method}'.`,
  );
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
    body: [dataverse.metadataDocument(wanted)],
  };
}

function metadata(
  dataverse: Dataverse,
  request: ServiceRequest,
  segments: readonly string[],
): ServiceResponse {
  if (request.method !== 'GET') throw methodNotAllowed(request);
  const options = parseQueryOptions(request.query);
  const answer = readMetadata(dataverse.store.model, segments, options);
  const context = { '@odata.context': `${request.origin}${apiRoot}/$metadata#${answer.context}` };
  return json(
    answer.items === undefined ? { ...context, ...answer.item } : { ...context, value: answer.items },
  );
}

export function json(content: unknown, status = 200, headers: Record<string, string> = {}): ServiceResponse {
  return { status, headers: { ...jsonHeaders, ...headers }, body: [new Fragment(JSON.stringify(content))] };
}
