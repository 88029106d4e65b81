import type { IdQuery, PageQuery } from '../../dataverse/client.ts';
import type { Table } from '../../schema/table.ts';
import { needsAnnotations } from '../../schema/table-from-csdl.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { SliceStart } from '../documents/slice.ts';

/** The rows that a read covers, from where it stands. */
export function rowsQuery(table: Table, plan: TablePlan, position: SliceStart, pageSize: number): PageQuery {
  const { read, link } = position;
  const base: PageQuery = {
    entitySet: table.name,
    pageSize: pageSizeFor(table, pageSize),
    // Its rows are in the shard before the next page is asked for.
    release: true,
    ...columnsOf(table, plan),
  };
  if (read.kind === 'delta') return { ...base, link: link ?? read.link };
  const continued = link === undefined ? base : { ...base, link };
  if (read.kind === 'delta-initial') return { ...continued, trackChanges: true };
  const ordered = { ...continued, orderBy: `${table.primaryKey} asc` };
  if (read.kind !== 'modifiedon') return ordered;
  return { ...ordered, filter: `${table.modifiedOnColumn} ge ${read.since}` };
}

/** All keys of a table, each with the version that every row carries as its ETag. */
export function keysQuery(table: Table, position: SliceStart, pageSize: number): PageQuery {
  return {
    entitySet: table.name,
    select: [table.primaryKey],
    orderBy: `${table.primaryKey} asc`,
    pageSize,
    release: true,
    ...(position.link === undefined ? {} : { link: position.link }),
  };
}

/** Whole rows by their ids. */
export function idsQuery(table: Table, plan: TablePlan, ids: readonly string[]): IdQuery {
  return { entitySet: table.name, primaryKey: table.primaryKey, ids, ...columnsOf(table, plan) };
}

/** Whether rows are still there, and in which version. */
export function knownQuery(table: Table, ids: readonly string[]): IdQuery {
  return { entitySet: table.name, primaryKey: table.primaryKey, ids, select: [table.primaryKey] };
}

/** Which columns and annotations are asked for: all columns unless some are configured, annotations where needed. */
function columnsOf(table: Table, plan: TablePlan): Pick<PageQuery, 'annotations' | 'select'> {
  const annotations = needsAnnotations(table);
  const selectable = table.columns.filter((column) => column.property === column.name);
  return {
    ...(annotations.length > 0 ? { annotations } : {}),
    ...(plan.config.columns === undefined ? {} : { select: selectable.map((column) => column.name) }),
  };
}

/** Bytes of a page that memory is planned for, and of one column of one row in JSON, as in the rows of the bench. */
const pageBytes = 32 * 1024 * 1024;
const columnBytes = 40;

/**
 * Rows per page: a page of 5,000 rows of a table of hundreds of columns would be many times larger than one of a
 * narrow table, and an instance holds a dozen pages at once.
 */
function pageSizeFor(table: Table, most: number): number {
  return Math.max(1, Math.min(most, Math.floor(pageBytes / (columnBytes * table.columns.length))));
}
