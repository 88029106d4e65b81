import { Fragment } from '../http/fragment.ts';
import { maximumPageSize, type Preferences } from '../http/preferences.ts';
import { badRequest, noSuchProperty, ServiceError } from '../http/service-error.ts';
import { columnIndex, type Table } from '../metadata/model.ts';
import type { Store } from '../rows/store.ts';
import type { TableRows } from '../rows/table-rows.ts';
import type { Row } from '../rows/values.ts';
import { expansionWriter } from './expand.ts';
import { compileFilter, type Field } from './filter.ts';
import { parseFilter } from './filter-parser.ts';
import type { CachedPage } from './page.ts';
import { type PagingCookie, parseSkipToken, skipToken } from './paging-cookie.ts';
import type { QueryOptions } from './query-options.ts';
import { chosenColumns, formattedValue, rowWriter } from './row-json.ts';
import { compareRows, cookieEntries, type Order, orderOf, position } from './row-order.ts';

/** One page of a read: its rows' JSON, and the `$skiptoken` of the next page where there is one. */
export interface PageRead {
  rows: Fragment;
  count: number;
  skipToken?: string;
  /** Set when `$count=true` asks for it: capped at 5,000 as the service does. */
  totalCount?: number;
}

/** Checks the names that a read selects and orders by, as the service does before it reads. */
export function checkNames(table: Table, options: QueryOptions): void {
  const names = [...(options.select ?? []), ...(options.orderBy ?? []).map((order) => order.property)];
  for (const name of names) {
    if (columnIndex(table, name) < 0) throw noSuchProperty(name, table.logicalName);
  }
  if (options.orderBy !== undefined && table.refusesOrderBy) {
    throw badRequest('The query parameter $orderby is not supported');
  }
  if (table.refusesReads) {
    throw new ServiceError(
      400,
      '0x80040800',
      `The 'RetrieveMultiple' method does not support entities of type '${table.logicalName}'.`,
    );
  }
}

/** Reads one page in the order asked for, or by primary key as SQL Server orders it. */
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
  const rows = listRows(table, held, options, order);
  // `$top` counts only without a page size (learn.microsoft.com: Page results).
  const paged = preferences.maxPageSize !== undefined || options.top === undefined;
  const size = paged ? (preferences.maxPageSize ?? maximumPageSize) : Math.min(options.top!, maximumPageSize);
  const cookie = options.skipToken === undefined ? undefined : parseSkipToken(options.skipToken);
  const start = cookie === undefined ? 0 : position(table, rows, order, cookie);
  const page = cachedPage(store, table, held, options, preferences, rows, start, size);
  const read: PageRead = { rows: page.rows, count: page.count };
  if (options.count) read.totalCount = Math.min(rows.length, 5000);
  if (page.more && paged && page.first !== undefined && page.last !== undefined) {
    const next: PagingCookie = {
      page: (cookie?.page ?? 1) + 1,
      last: cookieEntries(table, order, page.first, page.last),
    };
    const token = cookie?.trackingToken ?? trackingToken;
    if (token !== undefined) next.trackingToken = token;
    read.skipToken = skipToken(next);
  }
  return read;
}

/** The rows that pass the filter, in order. Kept until the table changes, so that paging does not repeat it. */
function listRows(table: Table, held: TableRows, options: QueryOptions, order: readonly Order[]): Row[] {
  if (options.filter === undefined && order.length === 0) return held.ordered();
  const key = JSON.stringify([options.filter, [...options.aliases], options.orderBy]);
  const known = held.lists.get(key);
  if (known !== undefined) return known;
  let rows = held.ordered();
  if (options.filter !== undefined) rows = rows.filter(rowFilter(table, options.filter, options.aliases));
  if (order.length > 0) rows = rows.toSorted((a, b) => compareRows(order, a, b));
  if (held.lists.size > 20) held.lists.clear();
  held.lists.set(key, rows);
  return rows;
}

export function rowFilter(
  table: Table,
  filter: string,
  aliases: ReadonlyMap<string, string>,
): (row: Row) => boolean {
  return compileFilter(parseFilter(filter, aliases), (path): Field<Row> => {
    const index = columnIndex(table, path);
    if (index < 0) throw noSuchProperty(path, table.logicalName);
    return { type: table.columns[index]!.type, get: (row) => row.values[index] };
  });
}

/** Writes rows as a request selects and expands them. */
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

/** Rows as one buffer, a few at a time: a page of tens of megabytes as one string would keep the collector busy. */
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
    // A lookup's name and the row behind it change without its own row.
    preferences.wants(formattedValue) || options.expand !== undefined ? String(store.version) : '',
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
  // Small answers are made anew as quickly as found; a handful of reads must not fill the memory.
  if (held.pages.size > 200) held.pages.clear();
  if (slice.length > 50) held.pages.set(key, page);
  return page;
}
