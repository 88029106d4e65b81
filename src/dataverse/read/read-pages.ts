import { setImmediate } from 'node:timers/promises';
import { parseErrorBody } from '../errors/error-response.ts';
import { dataverseFault } from '../errors/errors.ts';
import type { Call, CallOptions } from '../transport/call.ts';
import { LinkGuard } from '../transport/link-guard.ts';
import { type Reply, unreadable } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { isDeltaLink, toChangeTrackingError } from './change-tracking.ts';
import { InStreamError, type Page, PageFormatError, scanPage } from './page.ts';
import { checkName, queryPath } from './query.ts';

export interface PageQuery {
  entitySet: string;
  select?: readonly string[] | undefined;
  /** An OData filter. Dataverse rejects a filter together with change tracking. */
  filter?: string | undefined;
  /** If the server rejects the order, the read starts again without it: see `Page.orderRefused`. */
  orderBy?: string | undefined;
  /** `Microsoft.Dynamics.CRM.lookuplogicalname` and others. Each one makes the response larger. */
  annotations?: readonly string[] | undefined;
  /** Rows per page, at most 5,000; the server may send fewer. @default 5000 */
  pageSize?: number | undefined;
  /** Requests a delta link on the last page. A table that does not support it omits the link. */
  trackChanges?: boolean | undefined;
  /** A stored nextLink or deltaLink to continue from. It replaces `select`, `filter` and `orderBy`. */
  link?: string | undefined;
  /** Whether to fetch the next page while the caller processes this one; asked for each page if it varies. @default true */
  readAhead?: boolean | ((page: Page) => boolean) | undefined;
  /** Frees the memory of a page when the caller requests the next one; `body` must not be used after that. @default false */
  release?: boolean | undefined;
}

/**
 * Reads a table page by page. It follows each nextLink unchanged until there is none.
 * learn.microsoft.com: "Page results using Web API". Every page repeats the Prefer header.
 * @throws LinkError for a link to another origin, or one that was followed before
 * @throws ChangeTrackingError if change tracking has expired, is not enabled or is refused
 * @throws DataverseSkipError, DataverseRetriableError, DataverseConfigurationError
 * @example
 * for await (const page of client.readPages({ entitySet: 'accounts', select: ['name'] })) {
 *   for (const row of parseRows(page)) console.log(row.accountid, row.name);
 * }
 */
export async function* readPages(
  transport: Transport,
  query: PageQuery,
  options: CallOptions = {},
): AsyncGenerator<Page> {
  const isOrdered = query.orderBy !== undefined && query.link === undefined;
  try {
    return yield* followPages(transport, query, options);
  } catch (error) {
    // Dataverse does not document which tables reject an order, or with which code: any 400 counts. Without
    // an order, Dataverse pages by primary key, so no row is lost.
    if (!isOrdered || dataverseFault(error)?.status !== 400) throw error;
  }
  const unordered = { ...query, orderBy: undefined };
  for await (const page of followPages(transport, unordered, options)) yield { ...page, orderRefused: true };
}

async function* followPages(
  transport: Transport,
  query: PageQuery,
  options: CallOptions,
): AsyncGenerator<Page> {
  const entitySet = checkName(query.entitySet, 'entity set name');
  const guard = new LinkGuard(transport.origin, entitySet);
  const { base } = transport;
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const fetch = (url: string, number: number) => {
    const call = { ...options, signal, ...pageCall(query, url, number) };
    return transport
      .send(call, (reply) => toPage(reply, entitySet))
      .catch((error) => {
        throw query.trackChanges || isDeltaLink(url) ? toChangeTrackingError(error) : error;
      });
  };
  const link = query.link;
  let url = link === undefined ? base + queryPath(entitySet, query) : guard.follow(link, base, 1);
  let pending: Promise<Page> | undefined = fetch(url, 1);
  try {
    for (let number = 2; pending !== undefined; number += 1) {
      const page: Page = await pending;
      const next = () => {
        if (page.nextLink === undefined) return undefined;
        url = guard.follow(page.nextLink, url, number);
        return fetch(url, number);
      };
      const { readAhead = true } = query;
      const isAhead = typeof readAhead === 'function' ? readAhead(page) : readAhead;
      const ahead = isAhead ? next() : undefined;
      if (ahead !== undefined) {
        // It is awaited only when the caller requests the next page. An error before that must not end the process.
        ahead.catch(() => {});
        // The request leaves when the event loop turns. A caller that processes the page synchronously would delay it.
        await setImmediate();
      }
      yield page;
      if (query.release) freeMemory(page.body);
      pending = isAhead ? ahead : next();
    }
  } finally {
    stop.abort();
  }
}

/** Frees a buffer that has an ArrayBuffer of its own. Small buffers share Node's pool. */
function freeMemory(body: Buffer): void {
  const { buffer, byteOffset, length } = body;
  if (length > 65_536 && buffer instanceof ArrayBuffer && byteOffset === 0) buffer.transfer(0);
}

function pageCall(query: PageQuery, url: string, number: number): Call {
  const { entitySet } = query;
  const prefer = [`odata.maxpagesize=${query.pageSize ?? 5000}`];
  if (query.trackChanges && !isDeltaLink(url)) prefer.unshift('odata.track-changes');
  if (query.annotations?.length) {
    const names = query.annotations.map((name) => name.replace(/[^\w.*@-]/g, ''));
    prefer.push(`odata.include-annotations="${names.join(',')}"`);
  }
  const headers = { Prefer: prefer.join(',') };
  return { operation: `read page ${number} of ${entitySet}`, entitySet, url, headers };
}

/**
 * Scans the page in a response.
 * @throws UnexpectedResponseError if it is not a page, or a page of another entity set
 */
export function toPage(reply: Reply, entitySet: string): Page {
  try {
    const page = { ...scanPage(reply.body), requestedAt: reply.requestedAt };
    if (page.entitySet === undefined || page.entitySet.toLowerCase() === entitySet.toLowerCase()) return page;
    throw new PageFormatError(
      `it belongs to another request: its rows are of ${page.entitySet.slice(0, 60)}`,
    );
  } catch (error) {
    if (error instanceof PageFormatError) throw unreadable(reply, error.message);
    if (error instanceof InStreamError) {
      const { code, message } = parseErrorBody(error.body, 'application/json');
      throw unreadable(reply, `the response ends with an error: ${code ?? ''} ${message}`);
    }
    throw error;
  }
}
