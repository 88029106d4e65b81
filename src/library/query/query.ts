import { parseRows } from '../../dataverse/read/page.ts';
import { followPages, preferenceOf } from '../../dataverse/read/read-pages.ts';
import { checkCount } from '../client/check-count.ts';
import { mergeOptions, type RequestOptions } from '../client/options.ts';
import { rowsOf, type Session } from '../client/session.ts';
import type { AnyTableDefinition, ColumnOf, Row, Selected } from '../client/table-definition.ts';
import { exactTextsOf } from '../rows/exact-numbers.ts';
import { displayAnnotations } from './annotations.ts';
import { completeRows } from './complete-rows.ts';
import { countRows } from './count-rows.ts';
import { type FilterInput, toFilter } from './filter.ts';
import { emptyState, orderText, type QueryState, toQueryOptions } from './query-state.ts';

/** One page of a query. */
export interface RowPage<T> {
  readonly rows: T[];
  /** From 1. */
  readonly number: number;
  /** With `withCount`, on the first page: how many rows match; 5,000 means 5,000 or more. */
  readonly count?: number | undefined;
}

/** The most rows that Dataverse sends in one page (learn.microsoft.com: "Page results using Web API"). */
const largestPage = 5000;

/** @internal What finds the table of a query when it is sent. */
export interface QuerySource {
  readonly session: Session;
  definition(options?: RequestOptions): Promise<AnyTableDefinition>;
}

/**
 * A query on one table. Each method returns a new query; nothing is sent until the rows are read.
 * @example
 * const open = accounts.query().select('name', 'revenue').where((f) => f.eq('statecode', 0)).orderBy('name');
 * for await (const account of open) console.log(account.name);
 */
export class Query<R extends object, T = R> implements AsyncIterable<T> {
  readonly #source: QuerySource;
  readonly #state: QueryState;
  readonly #options: RequestOptions | undefined;

  /** @internal */
  constructor(source: QuerySource, state: QueryState = emptyState, options?: RequestOptions) {
    this.#source = source;
    this.#state = state;
    this.#options = options;
  }

  /** The columns to read. Without it Dataverse sends all of them, which is slow. */
  select<C extends ColumnOf<R>>(...columns: readonly C[]): Query<R, Selected<R, C>> {
    const select = [...this.#state.select, ...columns];
    return new Query<R, Selected<R, C>>(this.#source, { ...this.#state, select }, this.#options);
  }

  /** Only rows that fulfil the condition, and those of earlier calls. */
  where(filter: FilterInput<R>): Query<R, T> {
    return this.#with({ filters: [...this.#state.filters, toFilter(filter)] });
  }

  /** Without an order, Dataverse sorts by primary key. Orders of earlier calls come first. */
  orderBy(column: ColumnOf<R>, direction: 'asc' | 'desc' = 'asc'): Query<R, T> {
    return this.#with({ orderBy: [...this.#state.orderBy, orderText(column, direction)] });
  }

  /**
   * Reads related rows with each row: one for a lookup, a list for a collection. `expandOne` and `expandMany` say which in the
   * type of the result.
   * @param of selects and filters them, and expands further ones
   */
  expand<N extends string, E extends object = Row>(
    navigationProperty: N,
    of: (related: RelatedQuery<E>) => RelatedQuery<E> = (related) => related,
  ): Query<R, T & { readonly [Name in N]?: E | E[] | null }> {
    const expansion = { navigation: navigationProperty, state: of(new RelatedQuery<E>()).state };
    return new Query<R, T & { readonly [Name in N]?: E | E[] | null }>(
      this.#source,
      { ...this.#state, expand: [...this.#state.expand, expansion] },
      this.#options,
    );
  }

  /** `expand` of a lookup: the type of the result is the related row, or null. */
  expandOne<N extends string, E extends object = Row>(
    navigationProperty: N,
    of?: (related: RelatedQuery<E>) => RelatedQuery<E>,
  ): Query<R, T & { readonly [Name in N]: E | null }> {
    return this.expand<N, E>(navigationProperty, of) as unknown as Query<
      R,
      T & { readonly [Name in N]: E | null }
    >;
  }

  /** `expand` of a collection: the type of the result is a list of related rows. */
  expandMany<N extends string, E extends object = Row>(
    navigationProperty: N,
    of?: (related: RelatedQuery<E>) => RelatedQuery<E>,
  ): Query<R, T & { readonly [Name in N]: E[] }> {
    return this.expand<N, E>(navigationProperty, of) as unknown as Query<
      R,
      T & { readonly [Name in N]: E[] }
    >;
  }

  /** At most so many rows: up to 5,000 in one page, more of them page by page. */
  top(count: number): Query<R, T> {
    return this.#with({ top: checkCount(count, 'top') });
  }

  /** Rows per page, at most 5,000. @default 5000 */
  pageSize(rows: number): Query<R, T> {
    return this.#with({ pageSize: checkCount(rows, 'pageSize') });
  }

  /** Also reads labels, formatted numbers and the tables of lookups: see `formattedValue` and `lookupTable`. */
  withFormattedValues(): Query<R, T> {
    return this.#with({ formatted: true });
  }

  /** The first page says how many rows match. */
  withCount(): Query<R, T> {
    return this.#with({ count: true });
  }

  /** Options of all requests of this query, such as a signal. */
  with(options: RequestOptions): Query<R, T> {
    return new Query<R, T>(this.#source, this.#state, mergeOptions(this.#options ?? {}, options));
  }

  /**
   * Reads page by page, each while the one before is processed.
   * @throws DataverseError if Dataverse sends a link to another server, or one that was followed before
   */
  pages(): AsyncGenerator<RowPage<T>> {
    return this.#source.session.iterate(this.#options, (transport, options) =>
      this.#pages(transport, options),
    );
  }

  [Symbol.asyncIterator](): AsyncGenerator<T> {
    return this.#source.session.flatten(this.#options, rowsOf(this.pages()));
  }

  /** Reads all rows into memory. */
  async toArray(): Promise<T[]> {
    const all: T[] = [];
    for await (const { rows } of this.pages()) for (const row of rows) all.push(row);
    return all;
  }

  /** Reads the first row; undefined if there is none. */
  async first(): Promise<T | undefined> {
    const [row] = await this.top(1).toArray();
    return row;
  }

  /**
   * Counts the rows that match, exactly. Dataverse counts up to 5,000; from there on, the keys of all rows are read, which
   * takes a request for every 5,000 of them.
   */
  async count(): Promise<number> {
    const { session } = this.#source;
    return session.run(this.#options, async (transport, options) => {
      const table = await this.#source.definition(this.#options);
      const { filter } = toQueryOptions(this.#state, table);
      return countRows(transport, table, filter, options);
    });
  }

  #with(more: Partial<QueryState>): Query<R, T> {
    return new Query<R, T>(this.#source, { ...this.#state, ...more }, this.#options);
  }

  async *#pages(...[transport, plain]: Parameters<Parameters<Session['iterate']>[1]>) {
    const table = await this.#source.definition(this.#options);
    const { entitySet } = table;
    const hasOthers = this.#state.expand.length > 0;
    const own = this.#source.session.options(this.#options);
    const options = { ...plain, exact: exactTextsOf(own, table, { hasOthers }) };
    const { formatted, pageSize } = this.#state;
    const { top = Number.POSITIVE_INFINITY, ...rest } = toQueryOptions(this.#state, table);
    const query = {
      entitySet,
      ...rest,
      // Dataverse ends with the first page if it is asked for the first rows.
      top: top <= largestPage ? top : undefined,
      pageSize,
      annotations: formatted ? displayAnnotations : undefined,
    };
    const prefer = preferenceOf(query);
    let number = 0;
    let left = top;
    for await (const page of followPages(transport, query, options)) {
      number += 1;
      const rows = parseRows(page).slice(0, left);
      left -= rows.length;
      await completeRows(transport, rows, this.#state.expand, { entitySet, prefer }, options);
      yield { rows: rows as T[], number, count: page.count };
      if (left <= 0) return;
    }
  }
}

/** What is read of related rows. learn.microsoft.com: "Join tables using OData" has the limits of nested options. */
export class RelatedQuery<R extends object> {
  /** @internal */
  readonly state: QueryState;

  /** @internal */
  constructor(state: QueryState = emptyState) {
    this.state = state;
  }

  select(...columns: readonly ColumnOf<R>[]): RelatedQuery<R> {
    return new RelatedQuery({ ...this.state, select: [...this.state.select, ...columns] });
  }

  where(filter: FilterInput<R>): RelatedQuery<R> {
    return new RelatedQuery({ ...this.state, filters: [...this.state.filters, toFilter(filter)] });
  }

  orderBy(column: ColumnOf<R>, direction: 'asc' | 'desc' = 'asc'): RelatedQuery<R> {
    return new RelatedQuery({
      ...this.state,
      orderBy: [...this.state.orderBy, orderText(column, direction)],
    });
  }

  top(count: number): RelatedQuery<R> {
    return new RelatedQuery({ ...this.state, top: checkCount(count, 'top') });
  }

  expand<E extends object = Row>(
    navigationProperty: string,
    of: (related: RelatedQuery<E>) => RelatedQuery<E> = (related) => related,
  ): RelatedQuery<R> {
    const expansion = { navigation: navigationProperty, state: of(new RelatedQuery<E>()).state };
    return new RelatedQuery({ ...this.state, expand: [...this.state.expand, expansion] });
  }
}
