import { stringLiteral } from '../../dataverse/read/query.ts';
import { UsageError } from '../client/errors.ts';
import type { ColumnOf } from '../client/table-definition.ts';
import { numberOf } from '../rows/number-texts.ts';
import { bracketSafe, checkPath, type FilterValue, Literal, listTextOf, literalOf } from './literal.ts';

/** What a filter must know of the table to be written. */
export interface FilterScope {
  /** The primary key, whose texts are GUIDs. */
  primaryId?: string | undefined;
  /** Columns that are read as texts and are numbers. */
  decimals?: readonly string[] | undefined;
  /** The variable of a lambda expression, before each column. */
  variable?: string | undefined;
}

type Write = (scope: FilterScope) => string;

/** A condition on rows. Conditions combine with `and`, `or` and `not`. */
export class Filter {
  readonly #write: Write;
  readonly #isCompound: boolean;

  constructor(write: Write, isCompound = false) {
    this.#write = write;
    this.#isCompound = isCompound;
  }

  /** The condition as OData has it. */
  toString(scope: FilterScope = {}): string {
    return this.#write(scope);
  }

  /** The same in parentheses where it stands beside others. */
  static operand(filter: Filter, scope: FilterScope): string {
    return filter.#isCompound ? `(${filter.#write(scope)})` : filter.#write(scope);
  }
}

/** A column of a row of type `R`, or a path through navigation properties to a column of another row. */
export type FilterColumn<R> = ColumnOf<R> | `${string}/${string}`;

/**
 * Makes filters. Values are quoted and encoded as their type needs; names are checked.
 * learn.microsoft.com: "Filter rows using OData", "Web API Query Function Reference".
 * @example
 * accounts.query().where((f) => f.and(f.eq('statecode', 0), f.or(f.contains('name', "O'Brien"), f.in('industrycode', [1, 7]))));
 */
export interface FilterBuilder<R extends object> {
  eq(column: FilterColumn<R>, value: FilterValue): Filter;
  ne(column: FilterColumn<R>, value: FilterValue): Filter;
  gt(column: FilterColumn<R>, value: FilterValue): Filter;
  ge(column: FilterColumn<R>, value: FilterValue): Filter;
  lt(column: FilterColumn<R>, value: FilterValue): Filter;
  le(column: FilterColumn<R>, value: FilterValue): Filter;
  isNull(column: FilterColumn<R>): Filter;
  isNotNull(column: FilterColumn<R>): Filter;
  /**
   * Any of the values. It counts as one of the 500 conditions that a query may have. No values match no row. A URL may have
   * 65,536 characters, encoded: that is some 1,500 GUIDs.
   */
  in(column: FilterColumn<R>, values: readonly Exclude<FilterValue, null>[]): Filter;
  notIn(column: FilterColumn<R>, values: readonly Exclude<FilterValue, null>[]): Filter;
  /** From the first to the second, both included. */
  between(column: FilterColumn<R>, low: Exclude<FilterValue, null>, high: Exclude<FilterValue, null>): Filter;
  notBetween(
    column: FilterColumn<R>,
    low: Exclude<FilterValue, null>,
    high: Exclude<FilterValue, null>,
  ): Filter;
  /** `%`, `_` and `[…]` are wildcards in these three; see `literalText`. */
  contains(column: FilterColumn<R>, text: string): Filter;
  startsWith(column: FilterColumn<R>, text: string): Filter;
  endsWith(column: FilterColumn<R>, text: string): Filter;
  /** Any of these options of a multi-select choice. */
  containsValues(column: FilterColumn<R>, values: readonly number[]): Filter;
  /** All of the conditions. */
  and(...filters: readonly Filter[]): Filter;
  /** One of the conditions or more. */
  or(...filters: readonly Filter[]): Filter;
  not(filter: Filter): Filter;
  /** Rows with a related row that fulfils the condition, or with any related row. */
  any(navigationProperty: string, of?: (f: FilterBuilder<Record<string, unknown>>) => Filter): Filter;
  /** Rows all of whose related rows fulfil the condition. */
  all(navigationProperty: string, of: (f: FilterBuilder<Record<string, unknown>>) => Filter): Filter;
  /**
   * A query function with no value, one or a list: `f.fn('LastXDays', 'createdon', 7)`, `f.fn('EqualUserId', '_ownerid_value')`,
   * `f.fn('On', 'createdon', dateOnly('2024-05-01'))`. Those with two values of their own names, such as
   * `InFiscalPeriodAndYear`, need `raw`.
   */
  fn(
    name: string,
    column: FilterColumn<R>,
    value?: Exclude<FilterValue, null> | readonly Exclude<FilterValue, null>[],
  ): Filter;
  /** A condition in OData's own syntax. Never make it from input. */
  raw(text: string): Filter;
}

const compare =
  (operator: string) =>
  (column: string, value: FilterValue): Filter =>
    new Filter(
      (scope) =>
        `${inScope(column, scope)} ${operator} ${literalOf(inColumn(column, value, scope), isGuidColumn(column, scope), scope.variable)}`,
    );

const textFunction =
  (name: string) =>
  (column: string, text: string): Filter =>
    new Filter((scope) => `${name}(${inScope(column, scope)},${stringLiteral(text)})`);

const listFunction = (name: string) => (column: string, values: readonly Exclude<FilterValue, null>[]) =>
  queryFunction(name, column, values);

const range =
  (name: string) => (column: string, low: Exclude<FilterValue, null>, high: Exclude<FilterValue, null>) =>
    queryFunction(name, column, [low, high]);

const lambda =
  (operator: 'any' | 'all') =>
  (navigation: string, of?: (f: FilterBuilder<Record<string, unknown>>) => Filter): Filter =>
    new Filter((scope) => {
      // Each level of nesting has a variable of its own.
      const variable = scope.variable === undefined ? 'o' : `${scope.variable}o`;
      const inner = of === undefined ? '' : `${variable}:${of(filters).toString({ variable })}`;
      return `${inScope(navigation, scope)}/${operator}(${inner})`;
    });

const combine =
  (operator: 'and' | 'or') =>
  (...parts: readonly Filter[]): Filter => {
    const [only, ...others] = parts;
    if (only === undefined) throw new UsageError(`${operator}() needs a condition`);
    if (others.length === 0) return only;
    return new Filter(
      (scope) => parts.map((part) => Filter.operand(part, scope)).join(` ${operator} `),
      true,
    );
  };

/** Makes filters for rows of any type. A query gives its callbacks the same with the columns of its rows. */
export const filters: FilterBuilder<Record<string, unknown>> = {
  eq: compare('eq'),
  ne: compare('ne'),
  gt: compare('gt'),
  ge: compare('ge'),
  lt: compare('lt'),
  le: compare('le'),
  isNull: (column) => filters.eq(column, null),
  isNotNull: (column) => filters.ne(column, null),
  in: (column, values) => (values.length === 0 ? nothing(column) : listFunction('In')(column, values)),
  notIn: (column, values) =>
    values.length === 0 ? filters.isNotNull(column) : listFunction('NotIn')(column, values),
  between: range('Between'),
  notBetween: range('NotBetween'),
  contains: textFunction('contains'),
  startsWith: textFunction('startswith'),
  endsWith: textFunction('endswith'),
  containsValues: listFunction('ContainValues'),
  and: combine('and'),
  or: combine('or'),
  not: (filter) => new Filter((scope) => `not (${filter.toString(scope)})`),
  any: lambda('any'),
  all: lambda('all'),
  fn: (name, column, value) =>
    Array.isArray(value)
      ? queryFunction(name, column, value)
      : new Filter((scope) => {
          const property = `PropertyName=${stringLiteral(inScope(column, scope))}`;
          const rest =
            value === undefined
              ? ''
              : `,PropertyValue=${propertyValue(inColumn(column, value as FilterValue, scope))}`;
          return `Microsoft.Dynamics.CRM.${checkFunction(name)}(${property}${rest})`;
        }),
  raw: (text) => new Filter(() => text, true),
};

/** A point in time or date is a text here, as in `On(PropertyName='createdon',PropertyValue='2024-05-01')`; a number is not. */
function propertyValue(value: FilterValue): string {
  const isText = value instanceof Date || (value instanceof Literal && /^\d{4}-\d\d-\d\d$/.test(value.text));
  return isText ? stringLiteral(literalOf(value, false)) : literalOf(value, false);
}

/** A condition that no row fulfils. */
function nothing(column: string): Filter {
  return filters.and(filters.isNull(column), filters.isNotNull(column));
}

function queryFunction(name: string, column: string, values: readonly Exclude<FilterValue, null>[]): Filter {
  // Values are texts, whatever the column: ["5","2000"].
  const texts = values.map((value) => JSON.stringify(listTextOf(value).toWellFormed()));
  const list = bracketSafe(texts.join(','));
  return new Filter(
    (scope) =>
      `Microsoft.Dynamics.CRM.${checkFunction(name)}(PropertyName=${stringLiteral(inScope(column, scope))},PropertyValues=[${list}])`,
  );
}

function checkFunction(name: string): string {
  if (/^[A-Za-z]{1,60}$/.test(name)) return name;
  throw new UsageError('The name of a query function consists of letters: LastXDays');
}

function inScope(column: string, { variable }: FilterScope): string {
  const path = checkPath(column);
  return variable === undefined ? path : `${variable}/${path}`;
}

/** A text that was read from a column of numbers is a number there. @throws UsageError for a text that is not */
function inColumn(column: string, value: FilterValue, { decimals }: FilterScope): FilterValue {
  return typeof value === 'string' && decimals?.includes(column) ? numberOf(column, value) : value;
}

/** Whether the texts of a column are GUIDs: a lookup's, or the primary key's. */
function isGuidColumn(column: string, { primaryId }: FilterScope): boolean {
  return /(^|\/)_\w+_value$/.test(column) || column === primaryId;
}

/** The filter in an argument: one that is made already, or made by a callback. */
export function toFilter<R extends object>(given: FilterInput<R>): Filter {
  if (given instanceof Filter) return given;
  return typeof given === 'string' ? filters.raw(given) : given(filters as unknown as FilterBuilder<R>);
}

/** A filter, a callback that makes one, or a text in OData's own syntax. */
export type FilterInput<R extends object> = Filter | string | ((f: FilterBuilder<R>) => Filter);

export { Literal };
