import { checkName, stringLiteral } from '../../dataverse/read/query.ts';
import { UsageError } from '../client/errors.ts';
import { Filter, type FilterScope } from './filter.ts';
import { checkPath } from './literal.ts';

/** What a query asks for. */
export interface QueryState {
  readonly select: readonly string[];
  readonly filters: readonly Filter[];
  readonly orderBy: readonly string[];
  readonly expand: readonly Expansion[];
  readonly top?: number | undefined;
  readonly pageSize?: number | undefined;
  readonly count?: boolean | undefined;
  readonly formatted?: boolean | undefined;
}

export interface Expansion {
  readonly navigation: string;
  readonly state: QueryState;
}

export const emptyState: QueryState = { select: [], filters: [], orderBy: [], expand: [] };

/** The options of a request, in OData's own syntax. */
export function toQueryOptions(state: QueryState, scope: FilterScope) {
  return {
    select: state.select.length === 0 ? undefined : [...new Set(state.select)],
    filter: filterText(state.filters, scope),
    orderBy: state.orderBy.length === 0 ? undefined : state.orderBy.join(','),
    expand: expandText(state.expand),
    top: state.top,
    count: state.count,
  };
}

function filterText(filters: readonly Filter[], scope: FilterScope): string | undefined {
  if (filters.length <= 1) return filters[0]?.toString(scope);
  return filters.map((filter) => Filter.operand(filter, scope)).join(' and ');
}

/** `primarycontactid($select=fullname),contact_customer_accounts($filter=…;$top=5)` */
export function expandText(expansions: readonly Expansion[]): string | undefined {
  if (expansions.length === 0) return undefined;
  return expansions
    .map(({ navigation, state }) => {
      const { select, filter, orderBy, expand, top } = toQueryOptions(state, {});
      const options = [
        select && `$select=${select.map((name) => checkName(name, 'column name')).join(',')}`,
        filter && `$filter=${filter}`,
        orderBy && `$orderby=${orderBy}`,
        expand && `$expand=${expand}`,
        top === undefined ? undefined : `$top=${top}`,
      ].filter((option) => option !== undefined);
      const name = checkName(navigation, 'navigation property');
      return options.length === 0 ? name : `${name}(${options.join(';')})`;
    })
    .join(',');
}

export function orderText(column: string, direction: 'asc' | 'desc'): string {
  if (direction !== 'asc' && direction !== 'desc') {
    throw new UsageError(`The direction of an order is asc or desc, not ${stringLiteral(String(direction))}`);
  }
  return direction === 'asc' ? checkPath(column) : `${checkPath(column)} desc`;
}
