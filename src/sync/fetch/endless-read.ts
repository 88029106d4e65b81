import { SkipTableError } from '../../errors.ts';
import type { ReadSize } from '../documents/slice.ts';

export function addSizes(before: ReadSize | undefined, { pages, records, bytes }: ReadSize): ReadSize {
  return {
    pages: pages + (before?.pages ?? 0),
    records: records + (before?.records ?? 0),
    bytes: bytes + (before?.bytes ?? 0),
  };
}

/** After so many pages, a read with at most one row a page will not end. */
const manyPages = 1000;
/** The same of a read whose pages are filled to one percent at most. Providers of virtual tables may send small pages. */
const manySmallPages = 100_000;
/** Rows in JSON have at most some ten times the bytes that they have in the database. */
const jsonPerDatabaseByte = 20;

const notDataverse = 'Check what answers instead of Dataverse: a proxy, or the provider of a virtual table.';

/**
 * Stops a read that goes on and on, because each page has a new link to another one. It would keep its run from ending.
 * @param options `pageSize`: the rows that each page may have; undefined for reads by id, whose lists end
 * @throws SkipTableError if the pages are nearly empty, or if there is more than any database can hold
 */
export function checkEnd(
  entitySet: string,
  { pages, records, bytes }: ReadSize,
  { pageSize, databaseMaxBytes }: { pageSize: number | undefined; databaseMaxBytes: number },
): void {
  const isNearlyEmpty =
    pageSize !== undefined &&
    pages >= (records <= pages ? manyPages : manySmallPages) &&
    records * 100 <= pages * pageSize;
  const isTooMuch = bytes > databaseMaxBytes * jsonPerDatabaseByte;
  if (!isNearlyEmpty && !isTooMuch) return;
  const seen = `${pages} pages with ${records} rows`;
  throw new SkipTableError(
    `The pages of ${entitySet} do not end: ${seen} were read, and another one is announced.`,
    {
      object: entitySet,
      hint: isTooMuch
        ? 'The rows do not fit into the database. Choose fewer columns, or raise SYNC_DATABASE_MAX_MB where memory allows it.'
        : notDataverse,
    },
  );
}

/**
 * Stops a read by id that brings far more rows than ids: it would fill the memory before its slice ends.
 * @throws SkipTableError
 */
export function checkRowsById(entitySet: string, ids: number, rows: number): void {
  // A row that changes while it is read may come twice.
  if (rows <= ids * 2 + 100) return;
  throw new SkipTableError(`${entitySet} returned ${rows} rows for ${ids} ids, and announces more.`, {
    object: entitySet,
    hint: notDataverse,
  });
}
