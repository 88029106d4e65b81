import type { BlobClient } from '@azure/storage-blob';
import { statusOf } from '../../storage/errors.ts';
import type { Position } from './journal-entry.ts';

/** How far the journal is written to Dataverse: the line at this position is the next. */
export interface JournalState extends Position {
  /** How many poison records exist. */
  poison: number;
  /** When to write to Dataverse again after a failure, in milliseconds since 1970. */
  retryAt: number;
  /** Consecutive failures. */
  failures: number;
}

export const initialState: JournalState = { generation: 1, offset: 0, poison: 0, retryAt: 0, failures: 0 };

/** Reads the state from the metadata of its empty blob, with names in lower case: one cheap request. */
export async function readState(blob: BlobClient): Promise<JournalState> {
  try {
    const { metadata = {} } = await blob.getProperties();
    const entries = Object.entries(initialState).map(([name, initial]) => [
      name,
      Number(metadata[name.toLowerCase()] ?? initial),
    ]);
    return Object.fromEntries(entries) as JournalState;
  } catch (error) {
    if (statusOf(error) === 404) return initialState;
    throw error;
  }
}
