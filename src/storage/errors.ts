import { type ContainerClient, RestError } from '@azure/storage-blob';
import { ConfigurationError, ConflictError, RetriableError, SyncError } from '../errors.ts';

/**
 * Codes for a lost race (learn.microsoft.com: Blob Storage error codes). InvalidBlockList: the commit of another writer
 * discarded our uncommitted blocks.
 */
const conflictCodes = new Set(['ConditionNotMet', 'BlobAlreadyExists', 'InvalidBlockList']);

/**
 * Codes for a blob that nobody may write as it is, and the remedy (learn.microsoft.com: Blob Storage error codes). They
 * come with the statuses of a lost race, 409 and 412, but another try cannot succeed.
 */
const blocked = new Map<string | undefined, [what: string, hint: string]>(
  Object.entries({
    LeaseIdMissing: [
      'another program holds a lease on it',
      'End the program that holds the lease, or break the lease: az storage blob lease break.',
    ],
    BlobArchived: [
      'it is in the archive tier',
      'Move it to the hot tier and wait until it is rehydrated. Exclude the container from rules that archive blobs.',
    ],
    BlobBeingRehydrated: [
      'it is being rehydrated from the archive tier',
      'Wait until it is rehydrated, which can take hours.',
    ],
    BlobImmutableDueToPolicy: [
      'an immutability policy or a legal hold protects it',
      'Remove the policy from the container, or allow blobs of its kind to be overwritten.',
    ],
  }),
);
const retriableStatuses = new Set([408, 429, 500, 502, 503, 504]);

/**
 * Runs `work` and throws its failures as `storageError` maps them.
 * @param operation a verb: `read`
 * @param object the blob or queue
 */
export async function withStorageErrors<T>(
  operation: string,
  object: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storageError(error, operation, object);
  }
}

/** Errors of @azure/identity: the credential is missing, or the token service rejects it or does not respond. */
const tokenErrors = new Set([
  'AuthenticationError',
  'AggregateAuthenticationError',
  'CredentialUnavailableError',
]);

/**
 * A failure of Azure Storage as an error of this project, by what the caller must do next. A RestError must not leave
 * this folder: it holds the request with its authorization header. Any other error, such as a
 * TypeError, is returned as it is: it is a fault of the code, and its message is not for callers.
 */
export function storageError(error: unknown, operation: string, object: string): unknown {
  if (!(error instanceof RestError)) {
    const name = error instanceof Error ? error.name : '';
    if (name === 'AbortError')
      return new RetriableError(`Aborted: ${operation} ${object}`, { operation, object });
    if (!tokenErrors.has(name)) return error;
    return new RetriableError(`Cannot ${operation} ${object}: no token for Azure Storage`, {
      operation,
      object,
      hint: 'Check the managed identity of the app, AzureWebJobsStorage__clientId and SYNC_DATABASE_STORAGE__clientId. For local work, sign in with the Azure CLI.',
      // Without the error's own cause, which may contain the request and thus the secret.
      cause: new Error((error as Error).message),
    });
  }
  const { statusCode } = error;
  const code = errorCode(error);
  const message = `Cannot ${operation} ${object}: ${[statusCode, code].filter(Boolean).join(' ')}`;
  const details = { operation, object, cause: new Error(error.message) };
  const [what, hint] = blocked.get(code) ?? [];
  if (what !== undefined) {
    return new ConfigurationError(`Cannot ${operation} ${object}: ${what}`, { ...details, hint });
  }
  if (statusCode === 412 || (code !== undefined && conflictCodes.has(code))) {
    return new ConflictError(message, { ...details, hint: 'Load it again and repeat the work.' });
  }
  if (statusCode === undefined) {
    return new RetriableError(message, {
      ...details,
      hint: 'The storage account does not answer: check its name in AzureWebJobsStorage or SYNC_DATABASE_STORAGE, that it exists, and its network rules. Then try again.',
    });
  }
  if (retriableStatuses.has(statusCode) || code === 'ContainerBeingDeleted') {
    return new RetriableError(message, details);
  }
  if (statusCode === 401 || statusCode === 403) {
    return new ConfigurationError(message, {
      ...details,
      hint: 'Give the identity the roles Storage Blob Data Owner and Storage Queue Data Contributor (Storage Blob Data Contributor on an account of SYNC_DATABASE_STORAGE), or correct the connection string. Check the network rules of the storage account.',
    });
  }
  return new SyncError(message, details);
}

/** The error code of the service: `BlobNotFound`. The response to a HEAD request has it in a header. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof RestError)) return undefined;
  const details = error.details as { errorCode?: string } | undefined;
  return details?.errorCode ?? error.code ?? error.response?.headers.get('x-ms-error-code');
}

export function statusOf(error: unknown): number | undefined {
  return error instanceof RestError ? error.statusCode : undefined;
}

/** Runs `work`. If the container does not exist, creates it and runs `work` again. */
export async function inContainer<T>(container: ContainerClient, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (errorCode(error) !== 'ContainerNotFound') throw error;
    await container.createIfNotExists();
    return await work();
  }
}
