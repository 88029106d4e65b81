import type { Read } from '../documents/plan.ts';
import { advanceThrough } from './row-reader.ts';
import type { Reading } from './strategy.ts';

/** Rows of any table by their ids: rows that the mirror lacks, or holds in an old version. */
export interface RowsById extends Read {
  kind: 'ids';
  ids: readonly string[];
}

export const rowsById: Reading<RowsById> = {
  advance: (position, reader) =>
    advanceThrough(position.read.ids, position, (batch) => reader.readRowsById(batch)),
  isComplete: () => false,
  comparedKeys: () => undefined,
  comparesValues: () => false,
  broughtNothing: () => false,
};

export function isRowsById(read: Read): read is RowsById {
  return read.kind === 'ids';
}
