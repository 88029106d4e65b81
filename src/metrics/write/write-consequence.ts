import {
  ConfigurationError,
  ConflictError,
  RetriableError,
  SkipTableError,
  SyncError,
} from '../../errors.ts';

/**
 * What a failed write to Dataverse means.
 * - `later`: it may have been written or not; writing the same again will do
 * - `setup`: nothing can be written until somebody mends settings, table or privileges
 * - `refused`: this record was not and will not be written
 */
export type WriteConsequence = 'later' | 'setup' | 'refused';

/** @throws the error itself where it is none of Dataverse's: a mistake in this program */
export function consequenceOf(error: unknown): WriteConsequence {
  if (error instanceof RetriableError || error instanceof ConflictError) return 'later';
  if (error instanceof ConfigurationError || error instanceof SkipTableError) return 'setup';
  if (error instanceof SyncError) return 'refused';
  if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError'))
    return 'later';
  throw error;
}
