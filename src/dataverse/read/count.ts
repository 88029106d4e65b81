import { dataverseFault } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import type { CallOptions } from '../transport/call.ts';
import { unreadable } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { queryPath } from './query.ts';

/** Dataverse counts up to this number (learn.microsoft.com: "Count rows using Web API"). */
export const countLimit = 5000;

/** The number of rows of a table; undefined from 5,000 rows on, and for tables that Dataverse does not count. */
export async function count(
  transport: Transport,
  entitySet: string,
  options: CallOptions = {},
): Promise<number | undefined> {
  const url = `${queryPath(entitySet)}/$count`;
  const headers = { Accept: 'text/plain' };
  const call = { ...options, operation: `count ${entitySet}`, entitySet, url, headers };
  try {
    return await transport.send(call, (reply) => {
      const rows = numberIn(reply.body);
      if (rows === undefined) throw unreadable(reply, 'it is not a number');
      return rows >= countLimit ? undefined : rows;
    });
  } catch (error) {
    if (dataverseFault(error)?.code === codes.queryRefused) return undefined;
    throw error;
  }
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
