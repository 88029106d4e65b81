import { isMissingRow } from '../errors/errors.ts';
import type { CallOptions } from '../transport/call.ts';
import { type Row, readObject } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { queryString, type RowKey, rowPath } from './query.ts';

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
  options: CallOptions & { select?: readonly string[] | undefined } = {},
): Promise<Row | undefined> {
  const url = rowPath(entitySet, key) + queryString({ select: options.select });
  const call = { ...options, operation: `read a row of ${entitySet}`, entitySet, url };
  return transport.send(call, readObject).catch((error) => {
    if (!isMissingRow(error)) throw error;
    return undefined;
  });
}
