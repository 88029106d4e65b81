import { dataverseFault } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import type { CallOptions } from '../transport/call.ts';
import { unreadable } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { queryPath, queryString } from './query.ts';

/** Dataverse counts up to this number (learn.microsoft.com: "Count rows using Web API"). */
export const countLimit = 5000;

/** The number of rows of a table; undefined from 5,000 rows on, and for tables that Dataverse does not count. */
export async function count(
  transport: Transport,
  entitySet: string,
  options: CallOptions = {},
): Promise<number | undefined> {
  try {
    const rows = await countMatching(transport, entitySet, undefined, options);
    return rows >= countLimit ? undefined : rows;
  } catch (error) {
    if (dataverseFault(error)?.code === codes.queryRefused) return undefined;
    throw error;
  }
}

/** The number of rows that a filter lets pass; 5,000 means 5,000 or more. */
export async function countMatching(
  transport: Transport,
  entitySet: string,
  filter: string | undefined,
  options: CallOptions = {},
): Promise<number> {
  const url = `${queryPath(entitySet)}/$count${queryString({ filter })}`;
  const headers = { Accept: 'text/plain' };
  const call = { ...options, operation: `count ${entitySet}`, entitySet, url, headers };
  return transport.send(call, (reply) => {
    const rows = numberIn(reply.body);
    if (rows === undefined) throw unreadable(reply, 'it is not a number');
    return rows;
  });
}

/** The number in the answer to a `$count`; undefined from 5,000 on, and if it is none. */
export function parseCount(body: Buffer): number | undefined {
  const rows = numberIn(body);
  return rows === undefined || rows >= countLimit ? undefined : rows;
}

function numberIn(body: Buffer): number | undefined {
  const rows = /^\uFEFF?\s*(\d{1,15})\s*$/.exec(body.toString('utf8', 0, 40))?.[1];
  return rows === undefined ? undefined : Number(rows);
}
