import { type BlobClient, RestError } from '@azure/storage-blob';
import type { Position } from './journal-entry.ts';

/** How far the journal is written. The line at this position is the next. */
export interface JournalState extends Position {
  /** How many poison records lie aside. */
  poison: number;
  /** Until when Dataverse is left in peace, after it could not be written to; milliseconds of the epoch. */
  retryAt: number;
  /** How often in a row it could not. */
  failures: number;
}

export const initialState: JournalState = { generation: 1, offset: 0, poison: 0, retryAt: 0, failures: 0 };

/** The state stands in the metadata of an empty blob: one cheap request tells it. */
export async function readState(blob: BlobClient): Promise<JournalState> {
  try {
    const { metadata = {} } = await blob.getProperties();
    const number = (name: keyof JournalState) => Number(metadata[name.toLowerCase()] ?? initialState[name]);
    return {
      generation: number('generation'),
      offset: number('offset'),
      poison: number('poison'),
      retryAt: number('retryAt'),
      failures: number('failures'),
    };
  } catch (error) {
    if (error instanceof RestError && error.statusCode === 404) return initialState;
    throw error;
  }
}

export function stateMetadata(state: JournalState): Record<string, string> {
  return Object.fromEntries(
    Object.entries(state).map(([name, value]) => [name.toLowerCase(), String(value)]),
  );
}
