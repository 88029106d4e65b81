import { checkName } from '../../dataverse/read/query.ts';
import { UsageError } from '../client/errors.ts';
import type { ColumnOf } from '../client/table-definition.ts';
import { type Filter, type FilterInput, type FilterScope, toFilter } from './filter.ts';

/** How the values of a column become one. */
export type AggregateMethod = 'sum' | 'average' | 'min' | 'max' | 'countdistinct';

/** An aggregated value: the number of rows, or a column and a method. */
export type Aggregated<R> = 'count' | readonly [column: ColumnOf<R>, method: AggregateMethod];

/** learn.microsoft.com: "Aggregate data using OData". At most 50,000 rows are aggregated. */
export interface Aggregation<R extends object> {
  where?: FilterInput<R> | undefined;
  groupBy?: readonly ColumnOf<R>[] | undefined;
  /** By the name in the result: `{ total: ['revenue', 'sum'], rows: 'count' }`. */
  values?: Readonly<Record<string, Aggregated<R>>> | undefined;
}

/** `filter(statecode eq 0)/groupby((industrycode),aggregate(revenue with sum as total))` */
export function applyText<R extends object>(aggregation: Aggregation<R>, scope: FilterScope): string {
  const { where, groupBy = [], values = {} } = aggregation;
  const parts = Object.entries<Aggregated<R>>(values).map(([name, value]) => {
    const alias = checkName(name, 'name of a value');
    if (value === 'count') return `$count as ${alias}`;
    return `${checkName(value[0], 'column name')} with ${checkMethod(value[1])} as ${alias}`;
  });
  const aggregate = parts.length === 0 ? undefined : `aggregate(${parts.join(',')})`;
  const groups = groupBy.map((column) => checkName(column, 'column name')).join(',');
  if (groups === '' && aggregate === undefined) {
    throw new UsageError('An aggregation needs groupBy or values');
  }
  const last =
    groups === '' ? aggregate! : `groupby((${groups})${aggregate === undefined ? '' : `,${aggregate}`})`;
  return where === undefined ? last : `filter(${filterIn(where, scope)})/${last}`;
}

/**
 * The names in the result whose numbers are texts: groups and values of columns that are read as texts. Counts are not.
 * @param decimals those columns
 */
export function exactNames<R extends object>(
  { groupBy = [], values = {} }: Aggregation<R>,
  decimals: readonly string[],
): string[] {
  const isExact = ([, value]: [string, Aggregated<R>]) =>
    value !== 'count' && value[1] !== 'countdistinct' && decimals.includes(value[0]);
  const named = Object.entries<Aggregated<R>>(values).filter(isExact);
  return [...groupBy.filter((column) => decimals.includes(column)), ...named.map(([name]) => name)];
}

function filterIn<R extends object>(where: FilterInput<R>, scope: FilterScope): string {
  const filter: Filter = toFilter(where);
  return filter.toString(scope);
}

const methods: ReadonlySet<string> = new Set(['sum', 'average', 'min', 'max', 'countdistinct']);

function checkMethod(method: string): string {
  if (methods.has(method)) return method;
  throw new UsageError(`${JSON.stringify(method)} is not a method of aggregation`, {
    hint: `Use one of ${[...methods].join(', ')}.`,
  });
}
