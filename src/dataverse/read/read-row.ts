import { isMissingRow } from '../errors/errors.ts';
import type { Call, CallOptions } from '../transport/call.ts';
import { type Reply, type Row, readObject } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { annotationsPreference, queryString, type RowKey, rowPath } from './query.ts';

export interface ReadRowOptions extends CallOptions {
  select?: readonly string[] | undefined;
  /** In OData's own syntax. */
  expand?: string | undefined;
  /** See `PageQuery`. */
  annotations?: readonly string[] | undefined;
}

/**
 * Reads one row, with `@odata.etag`; undefined if it does not exist.
 * @example
 * const account = await client.readRow('accounts', id, { select: ['name'] });
 * const contact = await client.readRow('contacts', { emailaddress1: 'ada@example.com' });
 */
export async function readRow(
  transport: Transport,
  entitySet: string,
  key: RowKey,
  options: ReadRowOptions = {},
): Promise<Row | undefined> {
  return transport.send(readRowCall(entitySet, key, options), readObject).catch((error) => {
    if (!isMissingRow(error)) throw error;
    return undefined;
  });
}

/** Describes a read of one row, for a request of its own or a part of a batch. */
export function readRowCall(entitySet: string, key: RowKey, options: ReadRowOptions = {}): Call {
  const { select, expand } = options;
  return {
    ...options,
    operation: `read a row of ${entitySet}`,
    entitySet,
    url: rowPath(entitySet, key) + queryString({ select, expand }),
    headers: { Prefer: annotationsPreference(options.annotations) },
  };
}

/**
 * Reads one row unless it is known already: with the version of `known`, Dataverse only says that nothing changed (status
 * 304), where the table supports it. learn.microsoft.com: "Perform conditional operations using the Web API".
 * @returns `known` itself if the row has not changed; undefined if it does not exist
 */
export async function readRowIfChanged(
  transport: Transport,
  entitySet: string,
  key: RowKey,
  known: Row | undefined,
  options: ReadRowOptions = {},
): Promise<Row | undefined> {
  const etag = known?.['@odata.etag'];
  if (typeof etag !== 'string') return readRow(transport, entitySet, key, options);
  const call = readRowCall(entitySet, key, options);
  const headers = { ...call.headers, 'If-None-Match': etag };
  const accepts = (status: number) => status === 304;
  const read = (reply: Reply) => (reply.status === 304 ? known : readObject(reply));
  return transport.send({ ...call, headers, accepts }, read).catch((error) => {
    if (!isMissingRow(error)) throw error;
    return undefined;
  });
}
