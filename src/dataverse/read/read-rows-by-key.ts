import { dataverseFault } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import type { CallOptions } from '../transport/call.ts';
import { type Reply, unreadable } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import type { Page } from './page.ts';
import { annotationsPreference, queryString, rowPath } from './query.ts';
import type { PageQuery } from './read-pages.ts';

/** How many of these requests are under way at once, at most. The client's own limit applies, too. */
const maxConcurrency = 8;

/**
 * Reads rows one by one, for a table that accepts no filter, and returns them as one page. An id that the server answers
 * with 404 has no row.
 */
export async function* readRowsByKey(
  transport: Transport,
  { entitySet, annotations, select }: Pick<PageQuery, 'entitySet' | 'annotations' | 'select'>,
  ids: readonly string[],
  options: CallOptions,
): AsyncGenerator<Page> {
  const rows: Buffer[] = [];
  const headers = { Prefer: annotationsPreference(annotations) };
  const waiting = [...ids];
  const readNext = async (): Promise<void> => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      const url = rowPath(entitySet, id) + queryString({ select });
      const call = { ...options, operation: `read a row of ${entitySet}`, entitySet, url, headers };
      try {
        rows.push(await transport.send(call, recordOf));
      } catch (error) {
        if (isAbsent(error)) continue;
        // The other requests end with those under way.
        waiting.length = 0;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: maxConcurrency }, readNext));
  const body = Buffer.concat(rows.flatMap((row, index) => (index === 0 ? [row] : [comma, row])));
  yield { body, recordsStart: 0, recordsEnd: body.length };
}

const comma = Buffer.from(',');

/** The row in a response, as bytes, so that numbers stay exact. The context is not a part of the row. */
function recordOf(reply: Reply): Buffer {
  const text = reply.body.toString().replace(/^\uFEFF/, '');
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch {
    throw unreadable(reply, `it is not JSON, or cut short after ${reply.body.length} bytes`);
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row))
    throw unreadable(reply, 'it is not a row');
  return Buffer.from(text.replace(/^\s*\{\s*"@(odata\.)?context"\s*:\s*"(?:[^"\\]|\\.)*"\s*,?/, '{'));
}

/**
 * Providers answer an unknown id with codes of their own, but a path that is not in the Web API with this one. Without a
 * code, the answer may be that of a gateway.
 */
function isAbsent(error: unknown): boolean {
  const fault = dataverseFault(error);
  return fault?.status === 404 && fault.code !== undefined && fault.code !== codes.resourceNotFound;
}
