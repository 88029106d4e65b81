import type { RequestOptions } from '../client/options.ts';
import type { RelatedQuery } from '../query/query.ts';

export interface RetrieveOptions<R extends object, C extends string> extends RequestOptions {
  /** The columns to read. @default all, which is slow */
  select?: readonly C[] | undefined;
  /** Related rows to read, by navigation property; `true` reads all their columns. */
  expand?:
    | Readonly<
        Record<
          string,
          true | ((related: RelatedQuery<Record<string, unknown>>) => RelatedQuery<Record<string, unknown>>)
        >
      >
    | undefined;
  /** Also read labels, formatted numbers and the tables of lookups. */
  formatted?: boolean | undefined;
  /**
   * The row as it was read before, with the same options. If it has not changed since, Dataverse sends only that, and this
   * object is returned. Without effect together with `expand` and `formatted`.
   */
  known?: R | undefined;
}

export interface CreateOptions<C extends string> extends RequestOptions {
  /** Columns of the created row to return. */
  returning?: readonly C[] | undefined;
}

export interface UpdateOptions<C extends string> extends RequestOptions {
  /** Update only if the row still has this version: see `etagOf`. */
  etag?: string | undefined;
  /** Columns of the row to return, as they are after the update. */
  returning?: readonly C[] | undefined;
}

export interface UpsertOptions<C extends string> extends UpdateOptions<C> {
  /** `create` never changes an existing row, `update` never creates one. @default 'any' */
  mode?: 'any' | 'create' | 'update' | undefined;
}

export interface DeleteOptions extends RequestOptions {
  /** Delete only if the row still has this version: see `etagOf`. */
  etag?: string | undefined;
}
