import { setImmediate } from 'node:timers/promises';
import { SkipTableError } from '../../errors.ts';
import { anySignal } from '../any-signal.ts';
import { parseErrorBody } from '../errors/error-response.ts';
import { isQueryRefused } from '../errors/refusal.ts';
import type { Call, CallOptions } from '../transport/call.ts';
import { LinkGuard } from '../transport/link-guard.ts';
import { type Reply, unreadable } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { ChangeTrackingError, isDeltaLink, toChangeTrackingError } from './change-tracking.ts';
import { cookieLength, maxUrlLength } from './in-filter.ts';
import { InStreamError, type Page, PageFormatError, type QueryOption, scanPage } from './page.ts';
import { annotationsPreference, checkName, queryPath } from './query.ts';

export interface PageQuery {
  entitySet: string;
  /** The columns. If the list is rejected or longer than a URL, all columns are read: see `Page.refused`. */
  select?: readonly string[] | undefined;
  /** Fail rather than read other columns than those in `select`. @default false */
  needsSelect?: boolean | undefined;
  /** An OData filter. Dataverse rejects a filter together with change tracking. */
  filter?: string | undefined;
  /** If the server rejects the order, the read starts again without it: see `Page.refused`. */
  orderBy?: string | undefined;
  /** `Microsoft.Dynamics.CRM.lookuplogicalname` and others. Each one makes the response larger. */
  annotations?: readonly string[] | undefined;
  /** See `QueryOptions`. */
  expand?: string | undefined;
  apply?: string | undefined;
  count?: boolean | undefined;
  /** Only so many rows, in one page. It replaces `pageSize`, because Dataverse ignores it beside a page size. */
  top?: number | undefined;
  /** Rows per page, at most 5,000; the server may send fewer. @default 5000 */
  pageSize?: number | undefined;
  /** Fail if there are more pages than the result can have. @default Infinity */
  maxPages?: number | undefined;
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
 * @throws SkipTableError if there are more than `maxPages`
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
  let rest = query;
  let refused: QueryOption[] = [];
  if (query.link === undefined && isTooLong(transport, query)) {
    [rest, refused] = [withoutColumns(query), ['columns']];
  }
  for (;;) {
    let error: unknown;
    try {
      for await (const page of followPages(transport, rest, options)) {
        yield refused.length === 0 ? page : { ...page, refused };
      }
      return;
    } catch (caught) {
      error = caught;
    }
    // Dataverse does not document which tables reject which option, or with which code. Without an order, Dataverse
    // pages by primary key, and without a list of columns it returns all of them, so nothing is lost.
    if (query.link !== undefined || error instanceof ChangeTrackingError || !isQueryRefused(error))
      throw error;
    if (rest.orderBy !== undefined) {
      [rest, refused] = [{ ...rest, orderBy: undefined }, [...refused, 'order']];
    } else if (rest.select !== undefined && !rest.needsSelect) {
      [rest, refused] = [withoutColumns(rest), [...refused, 'columns']];
    } else throw error;
  }
}

/** Whether the list of columns makes the URL longer than Dataverse accepts, with room for a paging cookie. */
function isTooLong({ base }: Transport, query: PageQuery): boolean {
  const { select, needsSelect, entitySet } = query;
  if (select === undefined) return false;
  const length = base.length + queryPath(entitySet, query).length;
  if (length <= maxUrlLength - cookieLength) return false;
  if (!needsSelect) return true;
  throw new SkipTableError(
    `The list of ${select.length} columns of ${entitySet} is longer than a URL may be`,
    { object: entitySet, hint: 'Choose fewer columns, or turn off "rawJson" for this table.' },
  );
}

function withoutColumns(query: PageQuery): PageQuery {
  return { ...query, select: undefined };
}

/**
 * Reads pages like `readPages`, but fails if the server rejects an option: nothing is left out.
 * @throws the same
 */
export async function* followPages(
  transport: Transport,
  query: PageQuery,
  options: CallOptions = {},
): AsyncGenerator<Page> {
  const entitySet = checkName(query.entitySet, 'entity set name');
  const guard = new LinkGuard(transport.origin, entitySet);
  const { base } = transport;
  /** Pages whose bodies are in memory: at most one that the caller has and one read ahead. */
  const kept = new Set<Page>();
  const stop = new AbortController();
  const signal = anySignal([options.signal, stop.signal]);
  const fetch = (url: string, number: number) => {
    const call = { ...options, signal, ...pageCall(query, url, number), keepsBody: true };
    const keep = (reply: Reply): Page => {
      const { release } = reply;
      const page: Page = { ...toPage(reply, entitySet), release: () => kept.delete(page) && release() };
      kept.add(page);
      abandoned.register(page, release);
      return page;
    };
    return transport.send(call, keep).catch((error) => {
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
        if (number > (query.maxPages ?? Infinity)) throw withoutEnd(entitySet, number - 1);
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
      page.release?.();
      if (query.release) freeMemory(page.body);
      pending = isAhead ? ahead : next();
    }
  } finally {
    stop.abort();
    // Pages that the caller does not want any more.
    for (const page of kept) page.release?.();
  }
}

function withoutEnd(entitySet: string, pages: number): SkipTableError {
  return new SkipTableError(
    `The pages of ${entitySet} do not end: ${pages} were read, and another one is announced.`,
    {
      object: entitySet,
      hint: 'Check what answers instead of Dataverse: a proxy, or the provider of a virtual table.',
    },
  );
}

/** Gives back the bytes of pages whose reader was neither read to the end nor closed. */
const abandoned = new FinalizationRegistry<() => void>((release) => release());

/** Largest accepted page, in bytes. One of 5,000 wide rows has about 30 MB, and `pageSize` follows the weight of rows. */
const maxPageBytes = 256 * 1024 ** 2;

/** Frees a buffer that has an ArrayBuffer of its own. Small buffers share Node's pool. */
function freeMemory(body: Buffer): void {
  const { buffer, byteOffset, length } = body;
  if (length > 65_536 && buffer instanceof ArrayBuffer && byteOffset === 0) buffer.transfer(0);
}

/** The page size and the annotations of a query, for the Prefer header. */
export function preferenceOf({ top, pageSize = 5000, annotations }: PageQuery): string | undefined {
  const size = top === undefined ? `odata.maxpagesize=${pageSize}` : undefined;
  return [size, annotationsPreference(annotations)].filter(Boolean).join(',') || undefined;
}

function pageCall(query: PageQuery, url: string, number: number): Call {
  const { entitySet } = query;
  const tracks = query.trackChanges && !isDeltaLink(url);
  const prefer = [tracks ? 'odata.track-changes' : undefined, preferenceOf(query)].filter(Boolean);
  const headers = { Prefer: prefer.length === 0 ? undefined : prefer.join(',') };
  return {
    operation: `read page ${number} of ${entitySet}`,
    subject: query.trackChanges || isDeltaLink(url) ? 'delta page' : 'page',
    entitySet,
    url,
    headers,
    maxBytes: maxPageBytes,
  };
}

/**
 * Scans the page in a response.
 * @throws UnexpectedResponseError if it is not a page, or a page of another entity set
 */
export function toPage(reply: Reply, entitySet: string): Page {
  try {
    const page = { ...scanPage(reply.body), requestedAt: reply.requestedAt, exact: reply.exact };
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
