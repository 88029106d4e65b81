import type { Dataverse } from '../dataverse.ts';
import { Fragment } from '../http/fragment.ts';
import { maximumPageSize, type Preferences } from '../http/preferences.ts';
import { appliedHeader, jsonHeaders, text } from '../http/responses.ts';
import { badRequest, ServiceError } from '../http/service-error.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from '../http/service-request.ts';
import type { Table } from '../metadata/model.ts';
import type { Store } from '../rows/store.ts';
import type { Row } from '../rows/values.ts';
import type { QueryOptions } from './options/query-options.ts';
import { contextOf, pageAnnotations, setLink } from './page-envelope.ts';
import { type PagingCookie, parseSkipToken, skipToken } from './paging-cookie.ts';
import { checkNames, selectedWriter } from './read-rows.ts';

/**
 * Checks whether a table can be read with change tracking: a first read ends in a delta link, later reads return
 * what changed since (learn.microsoft.com: Use change tracking to synchronize data with external systems).
 * @throws ServiceError if the options, the table or the caller's privileges do not allow it
 */
export function checkTracked(store: Store, table: Table, options: QueryOptions): void {
  const disallowed = [
    ['$filter', options.filter],
    ['$orderby', options.orderBy],
    ['$expand', options.expand],
    ['$top', options.top],
  ].find(([, value]) => value !== undefined);
  if (disallowed !== undefined) {
    throw badRequest(
      `The "${String(disallowed[0])}" query parameter isn't supported when Change Tracking is enabled.`,
    );
  }
  if (!table.changeTracking) throw notTracked(table);
  if (store.withoutOrganizationRead.has(table.logicalName)) {
    throw new ServiceError(
      403,
      '0x80040220',
      `Principal user is missing prvRead${table.logicalName} privilege at organization level, which change tracking needs.`,
    );
  }
}

function notTracked(table: Table): ServiceError {
  return table.intersect === undefined
    ? badRequest(`Entity ${table.logicalName} isn't enabled for change tracking.`, '0x80072491')
    : badRequest(
        `Changes cannot be retrieved for intersect entity ${table.logicalName} since both related entities are not enabled for change tracking.`,
        '0x80072492',
      );
}

/** A delta token, `<row version>!<time>`. It is opaque to clients. */
export function deltaToken(version: bigint | string, now: Date): string {
  const [year, month, day] = now.toISOString().slice(0, 10).split('-');
  return `${version}!${month}/${day}/${year} ${now.toISOString().slice(11, 19)}`;
}

export function deltaLink(root: string, table: Table, query: string, token: string): string {
  const encoded = encodeURIComponent(token)
    .replace('!', '%21')
    .replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase());
  return setLink(root, table, query, [`$deltatoken=${encoded}`]);
}

/**
 * The row version in a delta token.
 * @throws ServiceError if the token has expired or the table's columns have changed since
 */
function parseDeltaToken(store: Store, table: Table, token: string): bigint {
  const parts = /^(\d+)!(\d\d)\/(\d\d)\/(\d{4}) (\d\d:\d\d:\d\d)$/.exec(token);
  if (parts === null) throw badRequest('The delta token is not valid.', '0x80040203');
  const [, version, month, day, year, time] = parts;
  const taken = Date.parse(`${year}-${month}-${day}T${time}Z`);
  const age = store.now().getTime() - taken;
  if (age > store.changeTrackingDays * 86_400_000 || BigInt(version!) < store.schemaVersion(table)) {
    throw badRequest(
      'Version stamp associated with the client has expired. Please perform a full sync.',
      '0x80044352',
    );
  }
  return BigInt(version!);
}

interface Change {
  version: bigint;
  id: string;
  row?: Row;
}

/** Changes after a version: rows by version, then deletions. Rows created and deleted meanwhile are among these. */
function changesSince(store: Store, table: Table, version: bigint): Change[] {
  const held = store.visibleRows(table);
  const rows: Change[] = [];
  for (const row of held.all()) {
    if (row.version > version) rows.push({ version: row.version, id: row.id, row });
  }
  const deleted = new Map<string, Change>();
  for (const tombstone of held.tombstones) {
    if (tombstone.version > version && held.get(tombstone.id) === undefined)
      deleted.set(tombstone.id, tombstone);
  }
  const byVersion = (a: Change, b: Change): number => (a.version < b.version ? -1 : 1);
  return [...rows.sort(byVersion), ...[...deleted.values()].sort(byVersion)];
}

/** Answers `GET` of a delta link. */
export function readDelta(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  options: QueryOptions,
  preferences: Preferences,
): ServiceResponse {
  const { store } = dataverse;
  checkTracked(store, table, options);
  checkNames(table, options);
  const since = parseDeltaToken(store, table, options.deltaToken!);
  const cookie = options.skipToken === undefined ? undefined : parseSkipToken(options.skipToken);
  const end = cookie?.trackingToken ?? String(store.version);
  const changes = changesSince(store, table, since).filter((change) => isAfter(change, cookie));
  const size = preferences.maxPageSize ?? maximumPageSize;
  const page = changes.slice(0, size);
  const root = request.origin + apiRoot;
  const write = selectedWriter(store, table, options, preferences);
  const deletedContext = JSON.stringify(`${root}/$metadata#${table.entitySetName}/$deletedEntity`);
  const records = page.map(({ row, id }) =>
    row === undefined ? `{"@odata.context":${deletedContext},"id":"${id}","reason":"deleted"}` : write(row),
  );
  const link =
    changes.length > size
      ? `"@odata.nextLink":${JSON.stringify(nextDeltaLink(root, table, request.query, page, cookie, end))}`
      : `"@odata.deltaLink":${JSON.stringify(deltaLink(root, table, request.query, deltaToken(end, store.now())))}`;
  dataverse.stats.rows += page.length;
  const head = `{"@odata.context":"${contextOf(root, table, options)}/$delta",${pageAnnotations(store, preferences, options, undefined)}`;
  return {
    status: 200,
    headers: { ...jsonHeaders, ...appliedHeader(preferences) },
    body: [new Fragment(`${head}${link},"value":[${records.join(',')}]}`)],
  };
}

function isAfter(change: Change, cookie: PagingCookie | undefined): boolean {
  if (cookie === undefined) return true;
  const deleted = cookie.last.some((entry) => entry.name === 'deleted' && entry.last === '1');
  const last = BigInt(cookie.last[0]!.last ?? '0');
  if ((change.row === undefined) !== deleted) return change.row === undefined;
  return change.version > last;
}

function nextDeltaLink(
  root: string,
  table: Table,
  query: string,
  page: readonly Change[],
  cookie: PagingCookie | undefined,
  trackingToken: string,
): string {
  const last = page.at(-1)!;
  const flag = last.row === undefined ? '1' : '0';
  const next = skipToken({
    page: (cookie?.page ?? 1) + 1,
    last: [
      { name: 'versionnumber', first: String(page[0]!.version), last: String(last.version) },
      { name: 'deleted', first: flag, last: flag },
    ],
    trackingToken,
  });
  const since = query.split('&').filter((part) => /^(\$|%24)deltatoken=/i.test(part));
  return setLink(root, table, query, [...since, `$skiptoken=${next}`]);
}

/** Answers `GET /accounts/$count?$deltatoken=…`. */
export function countDelta(dataverse: Dataverse, table: Table, options: QueryOptions): ServiceResponse {
  checkTracked(dataverse.store, table, options);
  const since = parseDeltaToken(dataverse.store, table, options.deltaToken!);
  return text(String(changesSince(dataverse.store, table, since).length));
}
