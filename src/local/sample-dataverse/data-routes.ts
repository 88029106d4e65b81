import type { Dataverse } from './dataverse.ts';
import { Fragment } from './fragment.ts';
import type { Table } from './model.ts';
import type { Preferences } from './preferences.ts';
import { parsePreferences } from './preferences.ts';
import { parseQueryOptions, type QueryOptions } from './query-options.ts';
import { checkNames, readPage, rowFilter } from './read-rows.ts';
import { chosenColumns, rowWriter } from './row-json.ts';
import { findRow } from './row-key.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from './service.ts';

export const jsonHeaders = {
  'content-type': 'application/json; odata.metadata=minimal',
  'odata-version': '4.0',
};

/** `GET /accounts`: one page, with the link to the next. */
export function readSet(dataverse: Dataverse, request: ServiceRequest, table: Table): ServiceResponse {
  const options = parseQueryOptions(request.query);
  const preferences = parsePreferences(request.headers['prefer']);
  const read = readPage(dataverse.store, table, options, preferences);
  const root = request.origin + apiRoot;
  let head = `{"@odata.context":"${contextOf(root, table, options)}",`;
  head += pageAnnotations(dataverse, preferences, options, read.totalCount);
  if (read.totalCount !== undefined) head += `"@odata.count":${read.totalCount},`;
  const next =
    read.skipToken === undefined
      ? ''
      : `,"@odata.nextLink":${JSON.stringify(nextLink(root, table, request.query, read.skipToken))}`;
  dataverse.stats.rows += read.count;
  return {
    status: 200,
    headers: { ...jsonHeaders, ...appliedHeader(preferences) },
    body: [new Fragment(`${head}"value":[`), read.rows, new Fragment(`]${next}}`)],
  };
}

export function contextOf(root: string, table: Table, options: QueryOptions): string {
  const select = options.select === undefined ? '' : `(${options.select.join(',')})`;
  return `${root}/$metadata#${table.entitySetName}${select}`;
}

/** The original query with its options repeated, and where to go on. */
export function nextLink(root: string, table: Table, query: string, skipToken: string): string {
  const kept = query
    .split('&')
    .filter((part) => part !== '' && !/^(\$|%24)(skiptoken|deltatoken)=/i.test(part));
  return `${root}/${table.entitySetName}?${[...kept, `$skiptoken=${skipToken}`].join('&')}`;
}

export function appliedHeader(preferences: Preferences): Record<string, string> {
  return preferences.applied.length === 0 ? {} : { 'preference-applied': preferences.applied.join(',') };
}

/** What the envelope says about the whole, when annotations are asked for. */
export function pageAnnotations(
  dataverse: Dataverse,
  preferences: Preferences,
  options: QueryOptions,
  total: number | undefined,
): string {
  const entries: [string, unknown][] = [
    ['totalrecordcount', options.count ? (total ?? -1) : -1],
    ['totalrecordcountlimitexceeded', options.count && total === 5000],
    ['globalmetadataversion', String(dataverse.store.metadataVersion)],
  ];
  return entries
    .filter(([name]) => preferences.wants(`Microsoft.Dynamics.CRM.${name}`))
    .map(([name, value]) => `"@Microsoft.Dynamics.CRM.${name}":${JSON.stringify(value)},`)
    .join('');
}

/** `GET /accounts(<id>)` or by alternate key. */
export function readRow(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  key: string,
): ServiceResponse {
  const options = parseQueryOptions(request.query);
  const preferences = parsePreferences(request.headers['prefer']);
  checkNames(table, options);
  const row = findRow(dataverse.store, table, key);
  const etag = `W/"${row.version}"`;
  if (request.headers['if-none-match'] === etag && options.expand === undefined) {
    return { status: 304, headers: { etag }, body: [] };
  }
  const write = rowWriter(table, chosenColumns(table, options.select), preferences.wants, (name, id) =>
    dataverse.store.nameOf(name, id),
  );
  const context = `${contextOf(request.origin + apiRoot, table, options)}/$entity`;
  dataverse.stats.rows += 1;
  return {
    status: 200,
    headers: { ...jsonHeaders, etag, ...appliedHeader(preferences) },
    body: [new Fragment(`{"@odata.context":"${context}",${write(row).slice(1)}`)],
  };
}

/** `GET /accounts/$count`: plain text, at most 5,000 without a delta token. */
export function countSet(dataverse: Dataverse, request: ServiceRequest, table: Table): ServiceResponse {
  const options = parseQueryOptions(request.query);
  const rows = dataverse.store.visibleRows(table).ordered();
  const count =
    options.filter === undefined
      ? rows.length
      : rows.filter(rowFilter(table, options.filter, options.aliases)).length;
  return text(String(Math.min(count, 5000)));
}

export function text(content: string): ServiceResponse {
  // The service puts a byte order mark before a bare count.
  return {
    status: 200,
    headers: { 'content-type': 'text/plain', 'odata-version': '4.0' },
    body: [new Fragment(`\ufeff${content}`)],
  };
}
