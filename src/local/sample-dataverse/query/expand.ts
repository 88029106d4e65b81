import { badRequest, noSuchProperty } from '../http/service-error.ts';
import { columnIndex, type Table } from '../metadata/model.ts';
import type { Store } from '../rows/store.ts';
import type { Row } from '../rows/values.ts';
import { findNavigation, type RowOfTable } from './navigation.ts';
import { type Expansion, parseExpand } from './options/parse-expand.ts';
import { parseOrder } from './options/query-options.ts';
import { rowFilter } from './row-filter.ts';
import { chosenColumns, rowWriter, type WantsAnnotation } from './row-json.ts';
import { compareRows } from './row-order.ts';

/**
 * Writes the members that `$expand` adds to a row: the row behind a lookup, or the rows of a collection, each with
 * `$select`, `$filter`, `$orderby`, `$top` and `$expand` (learn.microsoft.com: Join tables using OData).
 */
export function expansionWriter(
  store: Store,
  table: Table,
  expand: string | undefined,
  wants: WantsAnnotation,
): ((row: Row) => string) | undefined {
  if (expand === undefined) return undefined;
  const members = parseExpand(expand).map((expansion) => memberWriter(store, table, expansion, wants));
  return (row) => members.map((write) => write(row)).join('');
}

function memberWriter(
  store: Store,
  table: Table,
  { name, select, filter, expand, orderBy, top }: Expansion,
  wants: WantsAnnotation,
): (row: Row) => string {
  const navigation = findNavigation(store, table, name);
  if (navigation === undefined) {
    throw badRequest(`The navigation property '${name}' cannot be expanded on type '${table.logicalName}'.`);
  }
  const { target, isCollection } = navigation;
  for (const wanted of select ?? []) {
    if (columnIndex(target, wanted) < 0) throw noSuchProperty(wanted, target.logicalName);
  }
  const passes = filter === undefined ? () => true : rowFilter(store, target, filter, new Map());
  const order = (orderBy ?? []).map((part) => {
    const { property, descending } = parseOrder(part);
    const index = columnIndex(target, property);
    if (index < 0) throw noSuchProperty(property, target.logicalName);
    return { column: target.columns[index]!, index, descending };
  });
  const nested = expansionWriter(store, target, expand, wants);
  const nameOf = (logicalName: string, id: string) => store.nameOf(logicalName, id);
  const write = ({ table: member, row }: RowOfTable): string => {
    const text = rowWriter(member, chosenColumns(member, select), wants, nameOf)(row);
    return nested === undefined ? text : `${text.slice(0, -1)}${nested(row)}}`;
  };
  return (row) => {
    const related = navigation.follow(row).filter((each) => passes(each.row));
    if (!isCollection) return `,"${name}":${related[0] === undefined ? 'null' : write(related[0])}`;
    const sorted = related.sort((a, b) => compareRows(order, a.row, b.row)).slice(0, top);
    return `,"${name}":[${sorted.map(write).join(',')}]`;
  };
}
