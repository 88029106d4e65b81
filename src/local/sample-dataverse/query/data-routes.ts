import type { Dataverse } from '../dataverse.ts';
import { Fragment } from '../http/fragment.ts';
import { type Preferences, parsePreferences } from '../http/preferences.ts';
import { appliedHeader, jsonHeaders, text } from '../http/responses.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from '../http/service-request.ts';
import type { Table } from '../metadata/model.ts';
import type { Row } from '../rows/values.ts';
import { applyRows } from './apply.ts';
import { checkTracked, countDelta, deltaLink, deltaToken, readDelta } from './change-tracking.ts';
import { answerFetch } from './fetch/answer-fetch.ts';
import { parseQueryOptions, type QueryOptions } from './options/query-options.ts';
import { contextOf, pageAnnotations, setLink } from './page-envelope.ts';
import { parseSkipToken } from './paging-cookie.ts';
import { checkNames, type PageRead, readPage, selectedWriter } from './read-rows.ts';
import { rowFilter } from './row-filter.ts';
import { findRow } from './row-key.ts';

/** Answers `GET /accounts`: one page with a link to the next. With change tracking, the last has a delta link. */
export function readSet(dataverse: Dataverse, request: ServiceRequest, table: Table): ServiceResponse {
  const options = parseQueryOptions(request.query);
  const preferences = parsePreferences(request.headers['prefer']);
  if (options.fetchXml !== undefined) {
    return answerFetch(dataverse, request, table, options.fetchXml, preferences);
  }
  if (options.apply !== undefined) return aggregate(dataverse, request, table, options);
  if (options.deltaToken !== undefined) return readDelta(dataverse, request, table, options, preferences);
  const tracking = trackingToken(dataverse, table, options, preferences);
  const read = readPage(dataverse.store, table, options, preferences, tracking);
  const root = request.origin + apiRoot;
  let head = `{"@odata.context":"${contextOf(root, table, options)}",`;
  head += pageAnnotations(dataverse.store, preferences, options, read.totalCount);
  if (read.totalCount !== undefined) head += `"@odata.count":${read.totalCount},`;
  const link = pageLink(dataverse, root, table, request.query, read, tracking);
  // In the documentation's example a delta link comes before the rows, a next link after them.
  const before = link?.name === 'deltaLink' && options.skipToken === undefined;
  const member = link === undefined ? '' : `"@odata.${link.name}":${JSON.stringify(link.url)}`;
  dataverse.stats.rows += read.count;
  return {
    status: 200,
    headers: { ...jsonHeaders, ...appliedHeader(preferences) },
    body: [
      new Fragment(`${head}${before ? `${member},` : ''}"value":[`),
      read.rows,
      new Fragment(`]${before || member === '' ? '' : `,${member}`}}`),
    ],
  };
}

/** Answers `GET /accounts?$apply=…`. */
function aggregate(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  options: QueryOptions,
): ServiceResponse {
  const rows = applyRows(dataverse.store, table, options);
  const context = contextOf(request.origin + apiRoot, table, options);
  return {
    status: 200,
    headers: jsonHeaders,
    body: [new Fragment(`{"@odata.context":"${context}","value":[${rows.join(',')}]}`)],
  };
}

/** The row version at which a read with change tracking began. The links to later pages carry it. */
function trackingToken(
  dataverse: Dataverse,
  table: Table,
  options: QueryOptions,
  preferences: Preferences,
): string | undefined {
  const cookie = options.skipToken === undefined ? undefined : parseSkipToken(options.skipToken);
  const token =
    cookie === undefined && preferences.trackChanges
      ? String(dataverse.store.version)
      : cookie?.trackingToken;
  if (token !== undefined) checkTracked(dataverse.store, table, options);
  return token;
}

function pageLink(
  dataverse: Dataverse,
  root: string,
  table: Table,
  query: string,
  read: PageRead,
  tracking: string | undefined,
): { name: 'nextLink' | 'deltaLink'; url: string } | undefined {
  if (read.skipToken !== undefined) {
    return { name: 'nextLink', url: setLink(root, table, query, [`$skiptoken=${read.skipToken}`]) };
  }
  if (tracking === undefined) return undefined;
  const token = deltaToken(tracking, dataverse.store.now());
  return { name: 'deltaLink', url: deltaLink(root, table, query, token) };
}

/** Answers `GET /accounts(<id>)`, also with an alternate key. */
export function readRow(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  key: string,
): ServiceResponse {
  const options = parseQueryOptions(request.query);
  checkNames(table, options);
  const row = findRow(dataverse.store, table, key);
  const etag = `W/"${row.version}"`;
  if (request.headers['if-none-match'] === etag && options.expand === undefined) {
    return { status: 304, headers: { etag }, body: [] };
  }
  dataverse.stats.rows += 1;
  return rowResponse(dataverse, request, table, row, 200);
}

/** A response with one row, with the columns that the request selects. */
export function rowResponse(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  row: Row,
  status: number,
): ServiceResponse {
  const options = parseQueryOptions(request.query);
  const preferences = parsePreferences(request.headers['prefer']);
  checkNames(table, options);
  const write = selectedWriter(dataverse.store, table, options, preferences);
  const context = `${contextOf(request.origin + apiRoot, table, options)}/$entity`;
  return {
    status,
    headers: { ...jsonHeaders, etag: `W/"${row.version}"`, ...appliedHeader(preferences) },
    body: [new Fragment(`{"@odata.context":"${context}",${write(row).slice(1)}`)],
  };
}

/** Answers `GET /accounts/$count`: plain text, at most 5,000 unless there is a delta token. */
export function countSet(dataverse: Dataverse, request: ServiceRequest, table: Table): ServiceResponse {
  const options = parseQueryOptions(request.query);
  if (options.deltaToken !== undefined) return countDelta(dataverse, table, options);
  const rows = dataverse.store.visibleRows(table).ordered();
  const count =
    options.filter === undefined
      ? rows.length
      : rows.filter(rowFilter(dataverse.store, table, options.filter, options.aliases)).length;
  return text(String(Math.min(count, 5000)));
}
