import type { Operation } from '../batch/operation.ts';
import type { QuerySource } from '../query/query.ts';
import {
  createOperation,
  deleteOperation,
  linkOperation,
  retrieveOperation,
  type UpsertResult,
  updateOperation,
  upsertOperation,
} from '../rows/operations.ts';
import type { Reference, RowKey } from '../rows/reference.ts';
import type { DeleteOptions, RetrieveOptions, UpdateOptions, UpsertOptions } from '../rows/row-options.ts';
import type { RequestOptions } from './options.ts';
import type { ColumnOf, Row, Selected } from './table-definition.ts';

/** The operations of a table, described for a batch instead of sent. */
export interface PreparedOperations<R extends object, W extends object> {
  create(values: W, options?: RequestOptions): Operation<string>;
  update(key: RowKey, values: W, options?: UpdateOptions<never>): Operation<undefined>;
  upsert<C extends ColumnOf<R>>(key: RowKey, values: W, options?: UpsertOptions<C>): Operation<UpsertResult>;
  delete(key: RowKey, options?: DeleteOptions): Operation<boolean>;
  retrieve<C extends ColumnOf<R> = ColumnOf<R>>(
    key: RowKey,
    options?: RetrieveOptions<R, C>,
  ): Operation<Selected<R, C> | undefined>;
  /** Both rows can be ones that the same change set creates. A connection that exists is an error here. */
  associate(
    key: RowKey | Operation<unknown>,
    navigationProperty: string,
    target: Reference | Operation<unknown>,
    options?: RequestOptions,
  ): Operation<undefined>;
  disassociate(
    key: RowKey,
    navigationProperty: string,
    target: Reference,
    options?: RequestOptions,
  ): Operation<undefined>;
}

/** @internal */
export function prepareOperations<R extends object, W extends object>(
  source: QuerySource,
): PreparedOperations<R, W> {
  return {
    create: (values, options) => createOperation(source, values as Row, options) as Operation<string>,
    update: (key, values, options) =>
      updateOperation(source, key, values as Row, options) as Operation<undefined>,
    upsert: (key, values, options) => upsertOperation(source, key, values as Row, options),
    delete: (key, options) => deleteOperation(source, key, options),
    retrieve: <C extends ColumnOf<R>>(key: RowKey, options?: RetrieveOptions<R, C>) =>
      retrieveOperation(source, key, options) as Operation<Selected<R, C> | undefined>,
    associate: (...args) => linkOperation(source, 'POST', ...args),
    disassociate: (...args) => linkOperation(source, 'DELETE', ...args),
  };
}
