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
  /** Reads whole rows by id. Ids that Dataverse does not return count as deleted. @returns these */
  readRowsById(ids: readonly string[]): Promise<readonly string[]>;
  /**
   * Ids of the same table that the rows read since the last call refer to, without those that the mirror has or that the
   * read asks for. See fetch/follow-references.ts.
   */
  newReferences(known: KnownIds, limit: number): Promise<readonly string[]>;
  /** Takes note that Dataverse does not have ids that rows of the read refer to. */
  noteAbsent(ids: readonly string[]): void;
  /** Reads the keys and versions of the rows with these ids. */
  readKeysById(ids: readonly string[], options?: { values?: boolean }): Promise<void>;
  /** The list of ids of that name; see documents/stored-ids.ts. */
  readStoredIds(name: string): Promise<readonly string[]>;
  /** The ids in the list of that name; see documents/absent-ids.ts. */
  readAbsentIds(name: string): Promise<readonly string[]>;
  /** Decides about ids that the table's slices hold both as a row and as deleted; see fetch/tombstones.ts. */
  resolveTombstones(): Promise<void>;
}

/** Rows that need not be read again to follow a reference to them. */
export interface KnownIds {
  /** Ids that the read asks for. */
  requested: readonly string[];
  /** Ids that wait to be followed. */
  pending: readonly string[];
  /** Names the list of the ids that the mirror holds. */
  stored: string | undefined;
}

export type PageLinks = Pick<Page, 'nextLink' | 'deltaLink'>;

/** Where a read by pages continues; undefined after the last page. */
export function afterPage(position: SliceStart, { nextLink }: PageLinks): SliceStart | undefined {
  return nextLink === undefined ? undefined : { ...position, link: nextLink };
}

/** Ids in one batch: a few requests, well below a slice's budget. */
export const batchSize = 5000;

/** Reads the next batch of a list of ids. Returns where to continue; undefined at the end of the list. */
export async function advanceThrough(
  ids: readonly string[],
  position: SliceStart,
  readBatch: (batch: readonly string[]) => Promise<unknown>,
): Promise<SliceStart | undefined> {
  const offset = position.offset ?? 0;
  const end = offset + batchSize;
  await readBatch(ids.slice(offset, end));
  return end < ids.length ? { ...position, offset: end } : undefined;
}
