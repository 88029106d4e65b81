import { type Column, columnIndex, type Table } from '../metadata/model.ts';
import { guidOrderKey } from '../rows/guid.ts';
import { isLookup, type Row, type Value } from '../rows/values.ts';
import { comparable } from './comparable.ts';
import type { QueryOptions } from './options/query-options.ts';
import type { PagingCookie } from './paging-cookie.ts';

/** One column of `$orderby`. */
export interface Order {
  column: Column;
  index: number;
  descending: boolean;
}

/** The columns of `$orderby`. */
export function orderOf(table: Table, options: QueryOptions): Order[] {
  return (options.orderBy ?? []).map(({ property, descending }) => {
    const index = columnIndex(table, property);
    return { column: table.columns[index]!, index, descending };
  });
}

/** Compares two rows by the order columns, then by primary key. */
export function compareRows(order: readonly Order[], a: Row, b: Row): number {
  for (const { column, index, descending } of order) {
    const difference = compareValues(column.type, a.values[index], b.values[index]);
    if (difference !== 0) return descending ? -difference : difference;
  }
  return a.order < b.order ? -1 : a.order > b.order ? 1 : 0;
}

/** Compares two values. Nulls come first, as in SQL Server. */
function compareValues(type: string, a: Value | undefined, b: Value | undefined): number {
  const x = comparable(type, a);
  const y = comparable(type, b);
  if (x === y) return 0;
  if (x === null) return -1;
  if (y === null) return 1;
  return x < y ? -1 : 1;
}

/** The entries of a paging cookie for the first and last row of a page. */
export function cookieEntries(
  table: Table,
  order: readonly Order[],
  first: Row,
  last: Row,
): PagingCookie['last'] {
  const entries = order.map(({ column, index }) => ({
    name: column.logicalName,
    first: cookieText(first.values[index]),
    last: cookieText(last.values[index]),
  }));
  const braced = (row: Row): string => `{${row.id.toUpperCase()}}`;
  return [...entries, { name: table.primaryId, first: braced(first), last: braced(last) }];
}

function cookieText(value: Value | undefined): string | null {
  if (value === null || value === undefined) return null;
  return isLookup(value) ? value.id : typeof value === 'object' ? JSON.stringify(value.json) : String(value);
}

/** The position of the first row after a cookie. Found in the current rows, which may have changed since. */
export function position(
  table: Table,
  rows: readonly Row[],
  order: readonly Order[],
  cookie: PagingCookie,
): number {
  const key = cookie.last.at(-1)!;
  const marker: Row = {
    id: '',
    order: guidOrderKey((key.last ?? '').replace(/[{}]/g, '')),
    version: 0n,
    values: table.columns.map(() => null),
  };
  for (const [at, { index, column }] of order.entries()) {
    marker.values[index] = cookieValue(column, cookie.last[at]?.last ?? null);
  }
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareRows(order, rows[middle]!, marker) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function cookieValue(column: Column, text: string | null): Value {
  if (text === null) return null;
  return column.type === 'Edm.Boolean' ? text === 'true' : text;
}
