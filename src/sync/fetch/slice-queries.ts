import type { IdQuery, PageQuery } from '../../dataverse/client.ts';
import { type Column, entitySetOf, type Table } from '../../schema/table.ts';
import { needsAnnotations } from '../../schema/table-from-csdl.ts';
import type { TablePlan } from '../documents/plan.ts';

/** Whole rows by page. */
export function rowsQuery(table: Table, plan: Pick<TablePlan, 'config'>, pageSize: number): PageQuery {
  return {
    entitySet: entitySetOf(table),
    pageSize,
    // The rows are in the shard before the next page is requested.
    release: true,
    ...columnsOf(table, plan),
  };
}

/** The query without the options that Dataverse rejected lately for this table. */
export function withoutRefused(query: PageQuery, { omit = [] }: TablePlan): PageQuery {
  return {
    ...query,
    orderBy: omit.includes('order') ? undefined : query.orderBy,
    select: omit.includes('columns') && !query.needsSelect ? undefined : query.select,
  };
}

/** What a comparison reads of a row: its key, and with `values` the columns that change without a new version. */
export function comparedColumns({ columns, primaryKey }: Table, options: { values?: boolean }): Column[] {
  return columns.filter(
    ({ name, unversioned }) => name === primaryKey || (options.values === true && unversioned === true),
  );
}

/** What a comparison reads of all rows, by page. Every row carries its version as its ETag. */
export function keysQuery(
  table: Table,
  compared: readonly Column[],
  most: number,
  link: string | undefined,
): PageQuery {
  return {
    entitySet: entitySetOf(table),
    select: propertiesOf(compared),
    orderBy: `${table.primaryKey} asc`,
    pageSize: pageSizeFor({ columns: compared }, most),
    release: true,
    link,
  };
}

/** Whole rows by id. */
export function rowsByIdQuery(
  table: Table,
  plan: TablePlan,
  pageSize: number,
  ids: readonly string[],
): IdQuery {
  return {
    entitySet: entitySetOf(table),
    primaryKey: table.primaryKey,
    ids,
    pageSize,
    omit: plan.omit,
    ...columnsOf(table, plan),
  };
}

/** The same of the rows with these ids. */
export function keysByIdQuery(
  table: Table,
  { omit }: TablePlan,
  compared: readonly Column[],
  ids: readonly string[],
): IdQuery {
  const { primaryKey } = table;
  return { entitySet: entitySetOf(table), primaryKey, ids, select: propertiesOf(compared), omit };
}

function propertiesOf(columns: readonly Column[]): string[] {
  return columns.flatMap(({ property }) => property ?? []);
}

/** All columns unless some are configured, and the annotations that become columns. */
function columnsOf(
  table: Table,
  plan: Pick<TablePlan, 'config'>,
): Pick<PageQuery, 'annotations' | 'needsSelect' | 'select'> {
  // The name in SQLite may be another one. Annotations cannot be selected.
  const selectable = table.columns.flatMap(({ property }) =>
    property === undefined || property.includes('@') ? [] : property,
  );
  return {
    annotations: needsAnnotations(table),
    // The column _json would otherwise hold the columns that the configuration leaves out.
    needsSelect: plan.config.rawJson,
    select: plan.config.columns && selectable,
  };
}

/** Bytes of a page that fit the memory, and of one column of one row in JSON, as measured by test/bench. */
const pageBytes = 32 * 1024 * 1024;
const columnBytes = 40;

/**
 * Rows per page. An instance holds a dozen pages at once, and 5,000 rows of hundreds of columns, or with documents in
 * them, are many times larger than 5,000 rows of a few.
 * @param rowBytes bytes of a row, if rows were seen
 */
export function pageSizeFor({ columns }: { columns: readonly Column[] }, most: number, rowBytes = 0): number {
  const bytes = Math.max(rowBytes, columnBytes * columns.length);
  return Math.max(1, Math.min(most, Math.floor(pageBytes / bytes)));
}

/** Rows of the first page of a table whose rows were never seen. They show how heavy a row is. */
export const sampleRows = 10;

/** Whether rows of the table may be much larger than its number of columns suggests. */
export function mayBeHeavy({ columns }: Table): boolean {
  return columns.some(({ edmType }) => edmType === 'Edm.String');
}
