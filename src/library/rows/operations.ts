import { encodeValue, rowPath } from '../../dataverse/read/query.ts';
import { readRowCall } from '../../dataverse/read/read-row.ts';
import { readObject } from '../../dataverse/transport/reply.ts';
import { toJson } from '../../dataverse/write/exact-number.ts';
import { linkCall } from '../../dataverse/write/links.ts';
import { createCall, deleteCall, toWritten, upsertCall } from '../../dataverse/write/write-row.ts';
import { Operation } from '../batch/operation.ts';
import { checkedHeader, type RequestOptions } from '../client/options.ts';
import { checkComplete } from '../query/complete-rows.ts';
import type { QuerySource } from '../query/query.ts';
import { bodyFor, exactTextsOf } from './exact-numbers.ts';
import { keyFor } from './number-texts.ts';
import { toExpansions, toReadOptions } from './read-options.ts';
import { LaterReference, type Reference, type RowKey } from './reference.ts';
import type {
  CreateOptions,
  DeleteOptions,
  RetrieveOptions,
  UpdateOptions,
  UpsertOptions,
} from './row-options.ts';
import { withoutContext } from './without-context.ts';

/** Describes requests on rows of a table, for a batch. The results are those of the methods of `Table`. */

/** @internal The result of a write, with its row as other methods return it. */
export function withRow<T extends { row?: object | undefined }>(written: T): T {
  return written.row === undefined ? written : { ...written, row: withoutContext(written.row) };
}

type Values = Readonly<Record<string, unknown>>;

export interface UpsertResult {
  /** Undefined if Dataverse returned the row instead. */
  readonly id?: string | undefined;
  /** Known with the mode `create` or `update`, with an `etag`, and with `returning`. */
  readonly created?: boolean | undefined;
  /** With `returning`. */
  readonly row?: Readonly<Record<string, unknown>> | undefined;
}

/** @internal */
export function createOperation(
  source: QuerySource,
  values: Values,
  options: CreateOptions<string> = {},
): Operation<string | Record<string, unknown>> {
  return new Operation<string | Record<string, unknown>>(
    options,
    async (_, resolve) => {
      const table = await source.definition(options);
      const exact = exactTextsOf(source.session.options(options), table);
      return createCall(table.entitySet, bodyFor(table, values, resolve), {
        ...{ returning: options.returning, exact },
      });
    },
    (reply) => {
      const { id = '', row } = toWritten(reply);
      return row === undefined ? id : withoutContext(row);
    },
  );
}

/** @internal */
export function upsertOperation(
  source: QuerySource,
  key: RowKey,
  values: Values,
  options: UpsertOptions<string> = {},
): Operation<UpsertResult> {
  return new Operation(
    options,
    async (_, resolve) => {
      const table = await source.definition(options);
      const { mode, returning } = options;
      const etag = checkedHeader('If-Match', options.etag);
      const exact = exactTextsOf(source.session.options(options), table);
      const body = bodyFor(table, values, resolve);
      return upsertCall(table.entitySet, keyFor(table, key), body, { mode, etag, returning, exact });
    },
    (reply) => {
      const written = withRow(toWritten(reply));
      if (options.mode === 'create') return { ...written, created: true };
      return options.mode === 'update' || options.etag !== undefined
        ? { ...written, created: false }
        : written;
    },
  );
}

/** @internal */
export function updateOperation(
  source: QuerySource,
  key: RowKey,
  values: Values,
  options: UpdateOptions<string> = {},
): Operation<Record<string, unknown> | undefined> {
  const upsert = { ...options, mode: 'update' as const };
  return new Operation<Record<string, unknown> | undefined>(
    options,
    async (_, resolve) => {
      const table = await source.definition(options);
      const { mode, returning } = upsert;
      const etag = checkedHeader('If-Match', upsert.etag);
      const exact = exactTextsOf(source.session.options(options), table);
      const body = bodyFor(table, values, resolve);
      return upsertCall(table.entitySet, keyFor(table, key), body, { mode, etag, returning, exact });
    },
    (reply) => {
      const { row } = toWritten(reply);
      return row && withoutContext(row);
    },
  );
}

/** @internal */
export function deleteOperation(
  source: QuerySource,
  key: RowKey,
  options: DeleteOptions = {},
): Operation<boolean> {
  return new Operation<boolean>(
    options,
    async () => {
      const table = await source.definition(options);
      return deleteCall(table.entitySet, keyFor(table, key), {
        etag: checkedHeader('If-Match', options.etag),
      });
    },
    () => true,
    { value: false, ifDone: true },
  );
}

/** @internal */
export function retrieveOperation(
  source: QuerySource,
  key: RowKey,
  options: RetrieveOptions<object, string> = {},
): Operation<Record<string, unknown> | undefined> {
  return new Operation<Record<string, unknown> | undefined>(
    options,
    async () => {
      const table = await source.definition(options);
      const hasOthers = options.expand !== undefined;
      const exact = exactTextsOf(source.session.options(options), table, { hasOthers });
      return readRowCall(table.entitySet, keyFor(table, key), { ...toReadOptions(options), exact });
    },
    (reply) => {
      const row = withoutContext(readObject(reply));
      checkComplete(row, toExpansions(options.expand));
      return row;
    },
    { value: undefined },
  );
}

/** @internal */
export function linkOperation(
  source: QuerySource,
  method: 'POST' | 'DELETE',
  key: RowKey | LaterReference,
  navigationProperty: string,
  target: Reference | LaterReference,
  options: RequestOptions = {},
): Operation<undefined> {
  return new Operation<undefined>(
    options,
    async ({ transport }, resolve) => {
      const table = await source.definition(options);
      const { entitySet } = table;
      const path = key instanceof LaterReference ? resolve(key) : rowPath(entitySet, keyFor(table, key));
      const call = linkCall({ path, entitySet, navigationProperty }, 'link', {});
      const id = target instanceof LaterReference ? resolve(target) : `${transport.base}${target}`;
      if (method === 'DELETE') return { ...call, method, url: `${call.url}?$id=${encodeValue(id)}` };
      return { ...call, method, body: toJson({ '@odata.id': id }) };
    },
    () => undefined,
  );
}
