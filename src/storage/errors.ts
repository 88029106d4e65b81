import { type ContainerClient, RestError } from '@azure/storage-blob';
import { ConfigurationError, ConflictError, RetriableError, SyncError } from '../errors.ts';

/**
 * Codes that say that somebody else was faster; see learn.microsoft.com: Blob Storage error codes.
 * InvalidBlockList: a commit discards the uncommitted blocks of all others.
 */
const conflictCodes = new Set(['ConditionNotMet', 'BlobAlreadyExists', 'InvalidBlockList']);
const passingStatuses = new Set([408, 429, 500, 502, 503, 504]);

/** A storage failure as one of our errors, sorted by what the caller does next. */
export function storageError(error: unknown, operation: string, object: string): SyncError {
  if (error instanceof SyncError) return error;
  if (!(error instanceof RestError)) {
    const message = error instanceof Error ? error.message : String(error);
    return new SyncError(`cannot ${operation} ${object}: ${message}`, { operation, object, cause: error });
  }
  // The error itself holds the request with its authorization header; its message is enough.
  const details = { operation, object, cause: new Error(error.message) };
  const { statusCode } = error;
  const code = errorCode(error);
  const what = `cannot ${operation} ${object}: ${[statusCode, code].filter(Boolean).join(' ')}`;
  if (statusCode === 412 || (code !== undefined && conflictCodes.has(code))) {
    return new ConflictError(what, { ...details, hint: 'load it again and do the work once more' });
  }
  if (statusCode === undefined || passingStatuses.has(statusCode) || code === 'ContainerBeingDeleted') {
    return new RetriableError(what, details);
  }
  if (statusCode === 401 || statusCode === 403) {
    return new ConfigurationError(what, {
      ...details,
      hint: 'give the identity the roles Storage Blob Data Contributor and Storage Queue Data Contributor, or correct the connection string; check the network rules of the storage account',
    });
  }
  return new SyncError(what, details);
}

/** The service's own code: `BlobNotFound`. A HEAD has it in a header, since it has no body. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof RestError)) return undefined;
  const details = error.details as { errorCode?: string } | undefined;
  return details?.errorCode ?? error.code ?? error.response?.headers.get('x-ms-error-code');
}

export function statusOf(error: unknown): number | undefined {
  return error instanceof RestError ? error.statusCode : undefined;
}

/** Does `work`; where the container is missing, creates it and does the work again. */
export async function inContainer<T>(container: ContainerClient, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (errorCode(error) !== 'ContainerNotFound') throw error;
    await container.createIfNotExists();
    return await work();
  }
}
