import {
  ConfigurationError,
  ConflictError,
  RetriableError,
  SkipTableError,
  SyncError,
} from '../../errors.ts';

/**
 * What a failed write to Dataverse means.
 * - `retry`: the row may be written or not; write it again
 * - `setup`: nothing can be written until someone fixes settings, table or privileges
 * - `refused`: Dataverse rejected this record and will reject it again
 */
export type WriteConsequence = 'retry' | 'setup' | 'refused';

/** @throws the error itself if it does not come from Dataverse or storage: it is a bug */
export function consequenceOf(error: unknown): WriteConsequence {
  if (error instanceof RetriableError || error instanceof ConflictError) return 'retry';
  if (error instanceof ConfigurationError || error instanceof SkipTableError) return 'setup';
  if (error instanceof SyncError) return 'refused';
  if (error instanceof Error && /^(Abort|Timeout)Error$/.test(error.name)) return 'retry';
  throw error;
}
