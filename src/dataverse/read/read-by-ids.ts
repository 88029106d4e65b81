import { dataverseFault } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import { isQueryRefused } from '../errors/refusal.ts';
import type { CallOptions } from '../transport/call.ts';
import type { Transport } from '../transport/transport.ts';
import { inFilter, maxUrlLength, splitValues } from './in-filter.ts';
import type { Page } from './page.ts';
import { checkName, queryPath } from './query.ts';
import { type PageQuery, readPages } from './read-pages.ts';

export interface IdQuery
  extends Pick<PageQuery, 'entitySet' | 'select' | 'needsSelect' | 'annotations' | 'pageSize'> {
  primaryKey: string;
  ids: readonly string[];
  /** The column that contains the ids. @default primaryKey */
  property?: string | undefined;
}

/**
 * Reads rows by id in as few requests as the URL length allows: about 700 GUIDs each. Ids without a row are
 * ignored. If the server rejects a batch as too long or too complex, the batch is halved.
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
  const property = checkName(query.property ?? query.primaryKey, 'column name');
  const { entitySet, needsSelect, annotations, pageSize } = query;
  // A long list of columns leaves no room for ids. Without it, Dataverse returns all columns.
  const isLong = queryPath(entitySet, { select: query.select }).length > maxUrlLength / 2;
  let select = isLong && !needsSelect ? undefined : query.select;
  const path = queryPath(entitySet, { select, filter: inFilter(property, []) });
  const otherLength = transport.base.length + path.length;
  const batches = splitValues(query.ids, otherLength);
  for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
    const filter = inFilter(property, batch);
    try {
      yield* readPages(
        transport,
        { entitySet, select, needsSelect: true, annotations, pageSize, filter },
        options,
      );
    } catch (error) {
      if (select !== undefined && !needsSelect && !isTooLong(error) && isQueryRefused(error)) {
        // Without the list of columns, Dataverse returns all of them.
        select = undefined;
        batches.unshift(batch);
        continue;
      }
      if (batch.length === 1 || !isTooLong(error)) throw error;
      // The remaining batches are as long as this one: split all of them.
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
