import { Fragment } from '../http/fragment.ts';
import { maximumPageSize, type Preferences } from '../http/preferences.ts';
import { badRequest, noSuchProperty, ServiceError } from '../http/service-error.ts';
import { columnIndex, type Table } from '../metadata/model.ts';
import type { Store } from '../rows/store.ts';
import type { TableRows } from '../rows/table-rows.ts';
import type { Row } from '../rows/values.ts';
import type { CachedPage } from './cached-page.ts';
import { expansionWriter } from './expand.ts';
import type { QueryOptions } from './options/query-options.ts';
import { parseSkipToken, skipToken } from './paging-cookie.ts';
import { rowFilter } from './row-filter.ts';
import { chosenColumns, formattedValue, rowWriter } from './row-json.ts';
import { compareRows, cookieEntries, type Order, orderOf, position } from './row-order.ts';

/** One page of a read: the JSON of its rows and, unless it is the last, the `$skiptoken` of the next. */
export interface PageRead {
  rows: Fragment;
  count: number;
  skipToken?: string;
  /** With `$count=true`: the number of rows, at most 5,000 as in the service. */
  totalCount?: number;
}

/**
 * Checks what a read selects and orders by, as the service does before it reads.
 * @throws ServiceError for an unknown column, or if the table cannot be read or ordered
 */
export function checkNames(table: Table, options: QueryOptions): void {
  const names = [...(options.select ?? []), ...(options.orderBy ?? []).map((order) => order.property)];
  for (const name of names) {
    if (columnIndex(table, name) < 0) throw noSuchProperty(name, table.logicalName);
  }
  if (options.orderBy !== undefined && table.rejectsOrderBy) {
    throw badRequest('The query parameter $orderby is not supported');
  }
  if (table.rejectsReads) {
    throw new ServiceError(
      400,
      '0x80040800',
      `The 'RetrieveMultiple' method does not support entities of type '${table.logicalName}'.`,
    );
  }
}

/** Reads one page in the order of `$orderby` or, without it, in SQL Server's order of the primary key. */
export function readPage(
  store: Store,
  table: Table,
  options: QueryOptions,
  preferences: Preferences,
  trackingToken?: string,
): PageRead {
  checkNames(table, options);
  const held = store.visibleRows(table);
  const order = orderOf(table, options);
  const rows = listRows(store, table, held, options, order);
  // The service ignores `$top` if there is a page size (learn.microsoft.com: Page results).
  const paged = preferences.maxPageSize !== undefined || options.top === undefined;
  const size = paged ? (preferences.maxPageSize ?? maximumPageSize) : Math.min(options.top!, maximumPageSize);
  const cookie = options.skipToken === undefined ? undefined : parseSkipToken(options.skipToken);
  const start = cookie === undefined ? 0 : position(table, rows, order, cookie);
  const page = cachedPage(store, table, held, options, preferences, rows, start, size);
  const read: PageRead = { rows: page.rows, count: page.count };
  if (options.count) read.totalCount = Math.min(rows.length, 5000);
  if (page.more && paged && page.first !== undefined && page.last !== undefined) {
    read.skipToken = skipToken({
      page: (cookie?.page ?? 1) + 1,
      last: cookieEntries(table, order, page.first, page.last),
      trackingToken: cookie?.trackingToken ?? trackingToken,
    });
  }
  return read;
}

/** The rows that pass the filter, in order. Cached until the table changes, for the other pages. */
function listRows(
  store: Store,
  table: Table,
  held: TableRows,
  options: QueryOptions,
  order: readonly Order[],
): Row[] {
  if (options.filter === undefined && order.length === 0) return held.ordered();
  // A path leads to rows of other tables, which change without this one.
  const stamp = options.filter?.includes('/') ? String(store.version) : '';
  const key = JSON.stringify([options.filter, [...options.aliases], options.orderBy, stamp]);
  const known = held.lists.get(key);
  if (known !== undefined) return known;
  let rows = held.ordered();
  if (options.filter !== undefined)
    rows = rows.filter(rowFilter(store, table, options.filter, options.aliases));
  if (order.length > 0) rows = rows.toSorted((a, b) => compareRows(order, a, b));
  if (held.lists.size > 20) held.lists.clear();
  held.lists.set(key, rows);
  return rows;
}

/** Returns a function that writes a row with the columns and expansions of a request. */
export function selectedWriter(
  store: Store,
  table: Table,
  options: QueryOptions,
  { wants }: Preferences,
): (row: Row) => string {
  const nameOf = (name: string, id: string): string | undefined => store.nameOf(name, id);
  const write = rowWriter(table, chosenColumns(table, options.select), wants, nameOf);
  const expansion = expansionWriter(store, table, options.expand, wants);
  return expansion === undefined ? write : (row) => `${write(row).slice(0, -1)}${expansion(row)}}`;
}

/** Rows as one buffer, encoded a few at a time: one string of tens of megabytes would burden the garbage collector. */
function joinedRows(rows: readonly Row[], write: (row: Row) => string): Buffer {
  const parts: Buffer[] = [];
  for (let start = 0; start < rows.length; start += 64) {
    const text = rows
      .slice(start, start + 64)
      .map(write)
      .join(',');
    parts.push(Buffer.from(start === 0 ? text : `,${text}`));
  }
  return Buffer.concat(parts);
}

function cachedPage(
  store: Store,
  table: Table,
  held: TableRows,
  options: QueryOptions,
  preferences: Preferences,
  rows: readonly Row[],
  start: number,
  size: number,
): CachedPage {
  const chosen = chosenColumns(table, options.select);
  const key = JSON.stringify([
    chosen.length === table.columns.length ? 'all' : chosen,
    preferences.includeAnnotations,
    // The name behind a lookup and the expanded row change without the row itself.
    preferences.wants(formattedValue) || options.expand !== undefined || options.filter?.includes('/')
      ? String(store.version)
      : '',
    options.expand,
    options.filter,
    [...options.aliases],
    options.orderBy,
    start,
    size,
  ]);
  const known = held.pages.get(key);
  if (known !== undefined) return known;
  const slice = rows.slice(start, start + size);
  const write = selectedWriter(store, table, options, preferences);
  const page: CachedPage = {
    rows: new Fragment(joinedRows(slice, write)),
    count: slice.length,
    first: slice[0],
    last: slice.at(-1),
    more: start + size < rows.length,
  };
  // Bounds the memory. A small page is as quick to write as to find, so it is not cached.
  if (held.pages.size > 200) held.pages.clear();
  if (slice.length > 50) held.pages.set(key, page);
  return page;
}
