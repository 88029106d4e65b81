import type { Read, SliceStart } from '../documents/slice.ts';
import { batchSize, type RowReader } from './row-reader.ts';
import type { Reading } from './strategy.ts';

/** Rows of any table by their ids: rows that the mirror lacks, or holds in an old version. */
export interface RowsById extends Read {
  kind: 'ids';
  ids: readonly string[];
  /** Of a filtered table: names the list of the ids that the mirror holds. */
  stored?: string;
}

export const rowsById: Reading<RowsById> = {
  advance: (position, reader) => advanceAndFollow(position.read.ids, position.read.stored, position, reader),
  isComplete: () => false,
  comparedKeys: () => undefined,
  comparesValues: () => false,
  broughtNothing: () => false,
};

export function isRowsById(read: Read): read is RowsById {
  return read.kind === 'ids';
}

/** A slice's document holds the ids that wait. References beyond this are found by the merge, and read in a round. */
const maxPending = 10_000;

/**
 * Reads the next batch of rows by id. In a filtered table it follows their references to rows of the same table, so that
 * a chain of parents does not take a round for each level.
 * @param stored names the list of the ids that the mirror holds
 * @returns where to continue; undefined at the end of the list, once nothing is left to follow
 */
export async function advanceAndFollow(
  ids: readonly string[],
  stored: string | undefined,
  position: SliceStart,
  reader: RowReader,
): Promise<SliceStart | undefined> {
  const { offset = 0 } = position;
  const end = Math.min(offset + batchSize, ids.length);
  let { pending = [] } = position;
  if (end > offset) {
    await reader.readRowsById(ids.slice(offset, end));
  } else {
    reader.noteAbsent(await reader.readRowsById(pending.slice(0, batchSize)));
    pending = pending.slice(batchSize);
  }
  if (reader.plan.config.filtered) {
    const known = { requested: ids, pending, stored };
    pending = [...pending, ...(await reader.newReferences(known, maxPending - pending.length))];
  }
  return end < ids.length || pending.length > 0 ? { ...position, offset: end, pending } : undefined;
}
