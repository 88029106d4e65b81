import { parseErrorBody } from '../errors/error-response.ts';
import { dataverseFault } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import { LinkGuard } from '../transport/link-guard.ts';
import {
  type Call,
  type CallOptions,
  type Reply,
  type Transport,
  unreadable,
} from '../transport/transport.ts';
import { isDeltaLink, toChangeTrackingError } from './change-tracking.ts';
import { inFilter, packValues } from './in-filter.ts';
import { InStreamError, type Page, PageFault, scanPage } from './page.ts';
import { checkName, queryPath } from './query.ts';

export interface PageQuery {
  entitySet: string;
  select?: readonly string[] | undefined;
  /** An OData filter; Dataverse refuses one together with change tracking. */
  filter?: string | undefined;
  /** Dropped, and the read begun again, when the server refuses it: see `Page.orderRefused`. */
  orderBy?: string | undefined;
  /** `Microsoft.Dynamics.CRM.lookuplogicalname` and the like. Each costs bytes: ask for what is used. */
  annotations?: readonly string[] | undefined;
  /** Rows per page, at most 5,000; the server may send fewer. @default 5000 */
  pageSize?: number | undefined;
  /** Asks for a delta link on the last page. A table that ignores it answers without one. */
  trackChanges?: boolean | undefined;
  /** A stored nextLink or deltaLink to go on from, used verbatim instead of `select`, `filter` and `orderBy`. */
  link?: string | undefined;
  /** Whether the next page is fetched while the caller works on this one. @default true */
  readAhead?: boolean | undefined;
  /** Frees a page's memory as soon as the next one is asked for: its `body` must not be touched after that. @default false */
  release?: boolean | undefined;
}

/**
 * Reads a table page by page, following nextLink verbatim until there is none.
 * learn.microsoft.com: "Page results using Web API"; the Prefer header is repeated on every page.
 * @throws LinkError for a link to another origin or one seen before
 * @throws ChangeTrackingError for a tracked read that is expired, not enabled or refused
 */
export async function* readPages(
  transport: Transport,
  query: PageQuery,
  options: CallOptions = {},
): AsyncGenerator<Page> {
  const isOrdered = query.orderBy !== undefined && query.link === undefined;
  try {
    return yield* follow(transport, query, options);
  } catch (error) {
    // Which tables refuse an order, and with which code, is not documented: any 400 counts. Dataverse
    // pages by primary key by itself, so all rows still come.
    if (!isOrdered || dataverseFault(error)?.status !== 400) throw error;
  }
  const unordered = { ...query, orderBy: undefined };
  for await (const page of follow(transport, unordered, options)) yield { ...page, orderRefused: true };
}

async function* follow(transport: Transport, query: PageQuery, options: CallOptions): AsyncGenerator<Page> {
  const entity = checkName(query.entitySet, 'entity set name');
  const guard = new LinkGuard(transport.origin, entity);
  const { base } = transport;
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const fetch = (url: string, number: number) => {
    const call = { ...options, signal, ...pageCall(query, url, number) };
    return transport.send(call, toPage).catch((error) => {
      throw query.trackChanges || isDeltaLink(url) ? toChangeTrackingError(error) : error;
    });
  };
  const link = query.link;
  let url = link === undefined ? base + queryPath(entity, query) : guard.follow(link, base, 1);
  let pending: Promise<Page> | undefined = fetch(url, 1);
  try {
    for (let number = 2; pending !== undefined; number += 1) {
      const page: Page = await pending;
      const next = () => {
        if (page.nextLink === undefined) return undefined;
        url = guard.follow(page.nextLink, url, number);
        return fetch(url, number);
      };
      const ahead = query.readAhead === false ? undefined : next();
      // Awaited only when the caller comes back: until then a failure is nobody's.
      ahead?.catch(() => {});
      yield page;
      if (query.release) freeMemory(page.body);
      pending = query.readAhead === false ? next() : ahead;
    }
  } finally {
    stop.abort();
  }
}

/** Only of buffers that have their memory to themselves: small ones share Node's pool. */
function freeMemory(body: Buffer): void {
  const { buffer, byteOffset, length } = body;
  if (length > 65_536 && buffer instanceof ArrayBuffer && byteOffset === 0) buffer.transfer(0);
}

function pageCall(query: PageQuery, url: string, number: number): Call {
  const prefer = [`odata.maxpagesize=${query.pageSize ?? 5000}`];
  if (query.trackChanges && !isDeltaLink(url)) prefer.unshift('odata.track-changes');
  if (query.annotations?.length) {
    const names = query.annotations.map((name) => name.replace(/[^\w.*@-]/g, ''));
    prefer.push(`odata.include-annotations="${names.join(',')}"`);
  }
  return {
    operation: `read page ${number} of ${query.entitySet}`,
    entity: query.entitySet,
    url,
    headers: { Prefer: prefer.join(',') },
  };
}

/** Scans an answer; what is wrong with it becomes the typed error. */
export function toPage(reply: Reply): Page {
  try {
    return scanPage(reply.body);
  } catch (error) {
    if (error instanceof PageFault) throw unreadable(reply, error.message);
    if (error instanceof InStreamError) {
      const { code, message } = parseErrorBody(error.body, 'application/json');
      throw unreadable(reply, `the answer broke off with an error: ${code ?? ''} ${message}`);
    }
    throw error;
  }
}

export interface IdQuery extends Pick<PageQuery, 'entitySet' | 'select' | 'annotations'> {
  primaryKey: string;
  ids: readonly string[];
  /** The column that the ids are looked for in. @default primaryKey */
  property?: string | undefined;
}

/**
 * Reads rows by id in as few requests as URLs hold: some 700 GUIDs each. A batch that the server finds
 * too long or too complex all the same is halved.
 */
export async function* readByIds(
  transport: Transport,
  query: IdQuery,
  options: CallOptions = {},
): AsyncGenerator<Page> {
  const property = checkName(query.property ?? query.primaryKey, 'column name');
  const path = queryPath(query.entitySet, { select: query.select, filter: inFilter(property, []) });
  const otherLength = transport.base.length + path.length;
  const { entitySet, select, annotations } = query;
  const batches = packValues(query.ids, otherLength);
  for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
    const filter = inFilter(property, batch);
    try {
      yield* readPages(transport, { entitySet, select, annotations, filter }, options);
    } catch (error) {
      if (batch.length === 1 || !isTooLong(error)) throw error;
      // What is too long for this batch is so for the next: all that is left is cut in smaller ones.
      const rest = [batch, ...batches.splice(0)].flat();
      const size = Math.ceil(batch.length / 2);
      for (let start = 0; start < rest.length; start += size) batches.push(rest.slice(start, start + size));
    }
  }
}

function isTooLong(error: unknown): boolean {
  const { status, code, serverMessage = '' } = dataverseFault(error) ?? {};
  if (status === 414 || status === 431 || code === codes.tooManyConditions) return true;
  return /invalid uri|too long/i.test(serverMessage);
}
