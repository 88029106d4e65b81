import { dataverseFault } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import { isQueryRefused } from '../errors/refusal.ts';
import type { CallOptions } from '../transport/call.ts';
import type { Transport } from '../transport/transport.ts';
import { equalFilter, inFilter, maxUrlLength, splitValues } from './in-filter.ts';
import type { Page, QueryOption } from './page.ts';
import { checkName, isGuid, queryPath } from './query.ts';
import { type PageQuery, readPages } from './read-pages.ts';
import { readRowsByKey } from './read-rows-by-key.ts';

export interface IdQuery
  extends Pick<PageQuery, 'entitySet' | 'select' | 'needsSelect' | 'annotations' | 'pageSize'> {
  primaryKey: string;
  ids: readonly string[];
  /** The column that contains the ids. @default primaryKey */
  property?: string | undefined;
  /** Options that the server rejected before: they are not tried. */
  omit?: readonly QueryOption[] | undefined;
}

/** A way to ask for rows by id: by which condition, and with which columns. */
interface Way {
  by: 'in' | 'equal' | 'key';
  select: readonly string[] | undefined;
}

/** How many ids one request has. Providers of virtual tables translate each comparison into a condition of their own. */
const idsPerRequest = { in: Infinity, equal: 20, key: 50 } as const;

/**
 * Reads rows by id in as few requests as the URL length allows: about 700 GUIDs each. Ids without a row are
 * ignored. If the server rejects a batch as too long or too complex, the batch is halved. If it rejects the `In` filter,
 * as providers of virtual tables may, ids are compared with `eq`, some in one request; if it rejects any filter, each row
 * is read on its own: see `Page.refused`.
 * @throws like `readPages`
 * @example
 * const query = { entitySet: 'accounts', primaryKey: 'accountid', ids, select: ['name'] };
 * for await (const page of client.readByIds(query)) {
 *   for (const row of parseRows(page)) console.log(row.name);
 * }
 */
export async function* readByIds(
  transport: Transport,
  query: IdQuery,
  options: CallOptions = {},
): AsyncGenerator<Page> {
  const ways = waysOf(query);
  let way = ways.shift()!;
  let most = Infinity;
  let refused: QueryOption[] = [];
  let refusal: unknown;
  let batches = batchesOf(transport, query, way, query.ids, most);
  for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
    try {
      for await (const page of readBatch(transport, query, way, batch, options)) {
        yield refused.length === 0 ? page : { ...page, refused };
      }
      continue;
    } catch (error) {
      const next = ways[0];
      if (isTooLong(error) && batch.length > 1) {
        // The remaining batches are as long as this one: split all of them.
        most = Math.ceil(batch.length / 2);
      } else if (next !== undefined && isRefused(error, next)) {
        refusal ??= error;
        way = ways.shift()!;
        refused = refusedBefore(way, query);
      } else {
        // The first rejection is of the query that a table should accept.
        throw isQueryRefused(error) ? (refusal ?? error) : error;
      }
    }
    batches = batchesOf(transport, query, way, [batch, ...batches].flat(), most);
  }
}

/** The ways to ask, the best one first. */
function waysOf({ entitySet, select, needsSelect, ids, property, primaryKey, omit = [] }: IdQuery): Way[] {
  // A long list of columns leaves no room for ids. Without it, Dataverse returns all columns.
  const isLong = queryPath(entitySet, { select }).length > maxUrlLength / 2;
  const mayOmit = select !== undefined && needsSelect !== true;
  const selects = mayOmit ? [select, undefined] : [select];
  if (mayOmit && (isLong || omit.includes('columns'))) selects.shift();
  const by: Way['by'][] = [];
  if (!omit.includes('in') && !omit.includes('filter')) by.push('in');
  if (!omit.includes('filter')) by.push('equal');
  if ((property ?? primaryKey) === primaryKey && ids.every(isGuid)) by.push('key');
  if (by.length === 0) by.push('equal');
  return by.flatMap((one) => selects.map((columns): Way => ({ by: one, select: columns })));
}

/** The options that were rejected, if this way was reached by rejections. */
function refusedBefore({ by, select }: Way, { omit = [], select: wanted }: IdQuery): QueryOption[] {
  const refused: QueryOption[] = [];
  if (by !== 'in') refused.push('in');
  if (by === 'key') refused.push('filter');
  if (select === undefined && wanted !== undefined) refused.push('columns');
  return refused.filter((option) => !omit.includes(option));
}

/** Batches of ids that fit into a URL, each with at most `most` ids. */
function batchesOf(
  transport: Transport,
  { entitySet, property, primaryKey }: IdQuery,
  { by, select }: Way,
  ids: readonly string[],
  most: number,
): string[][] {
  const name = checkName(property ?? primaryKey, 'column name');
  const path = queryPath(entitySet, { select, filter: inFilter(name, []) });
  const limit = Math.min(most, idsPerRequest[by]);
  return splitValues(ids, transport.base.length + path.length).flatMap((batch) => {
    const parts: string[][] = [];
    for (let start = 0; start < batch.length; start += limit) parts.push(batch.slice(start, start + limit));
    return parts;
  });
}

function readBatch(
  transport: Transport,
  { entitySet, annotations, pageSize, property, primaryKey }: IdQuery,
  { by, select }: Way,
  ids: readonly string[],
  options: CallOptions,
): AsyncIterable<Page> {
  if (by === 'key') return readRowsByKey(transport, { entitySet, annotations, select }, ids, options);
  const name = checkName(property ?? primaryKey, 'column name');
  const filter = by === 'in' ? inFilter(name, ids) : equalFilter(name, ids);
  return readPages(
    transport,
    // Each page should have a row. Some providers send empty pages in between.
    { entitySet, select, needsSelect: true, annotations, pageSize, filter, maxPages: ids.length + 100 },
    options,
  );
}

function isRefused(error: unknown, next: Way): boolean {
  if (isTooLong(error) || !isQueryRefused(error)) return false;
  // Where the table itself is not found, each row would seem to be absent.
  return next.by !== 'key' || dataverseFault(error)?.status !== 404;
}

function isTooLong(error: unknown): boolean {
  const { status, code, serverMessage = '' } = dataverseFault(error) ?? {};
  if (status === 414 || status === 431 || code === codes.tooManyConditions) return true;
  return /invalid uri|too long/i.test(serverMessage);
}
