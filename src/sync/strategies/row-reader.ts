import type { Page, PageQuery } from '../../dataverse/client.ts';
import type { Table } from '../../schema/table.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { SliceStart } from '../documents/slice.ts';

/** What strategies ask Dataverse for. Each call writes the answer into the slice's shard. */
export interface RowReader {
  readonly table: Table;
  readonly plan: TablePlan;
  /** Reads a page of whole rows: the first one of the query, or the one that `link` leads to. */
  readPage(query: Pick<PageQuery, 'filter' | 'orderBy' | 'trackChanges' | 'link'>): Promise<PageLinks>;
  /**
   * Reads a page of the keys of all rows, each with its row's version.
   * @param options `values`: with the columns whose values change without a new version
   */
  readKeysPage(link: string | undefined, options?: { values?: boolean }): Promise<PageLinks>;
  /** Reads whole rows by id. Ids that Dataverse does not return count as deleted. */
  readRowsById(ids: readonly string[]): Promise<void>;
  /** The same of the rows with these ids. */
  readKeysById(ids: readonly string[], options?: { values?: boolean }): Promise<void>;
  /** The list of ids of that name; see documents/stored-ids.ts. */
  readStoredIds(name: string): Promise<readonly string[]>;
  /** Decides about ids that the table's slices hold both as a row and as deleted; see fetch/tombstones.ts. */
  resolveTombstones(): Promise<void>;
}

export type PageLinks = Pick<Page, 'nextLink' | 'deltaLink'>;

/** Where a read by pages continues; undefined after the last page. */
export function afterPage(position: SliceStart, { nextLink }: PageLinks): SliceStart | undefined {
  return nextLink === undefined ? undefined : { ...position, link: nextLink };
}

/** Ids in one batch: a few requests, well below a slice's budget. */
const batchSize = 5000;

/** Reads the next batch of a list of ids. Returns where to continue; undefined at the end of the list. */
export async function advanceThrough(
  ids: readonly string[],
  position: SliceStart,
  readBatch: (batch: readonly string[]) => Promise<void>,
): Promise<SliceStart | undefined> {
  const offset = position.offset ?? 0;
  const end = offset + batchSize;
  await readBatch(ids.slice(offset, end));
  return end < ids.length ? { ...position, offset: end } : undefined;
}
