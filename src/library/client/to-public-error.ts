import { isPrivilegeFault } from '../../dataverse/errors/error-response.ts';
import { type DataverseFault, dataverseFault } from '../../dataverse/errors/errors.ts';
import { codes } from '../../dataverse/errors/fault-codes.ts';
import { ChangeTrackingError as InternalChangeTrackingError } from '../../dataverse/read/change-tracking.ts';
import { maybeExecuted } from '../../dataverse/transport/retry.ts';
import { ConfigurationError, RetriableError, SyncError } from '../../errors.ts';
import {
  AuthenticationError,
  ChangeTrackingError,
  ConcurrencyError,
  DataverseError,
  type DataverseErrorDetails,
  DuplicateError,
  NotFoundError,
  PermissionError,
  RequestError,
  ThrottlingError,
  TransientError,
  UsageError,
} from './errors.ts';

/**
 * Converts an error of the layers below, whose classes say what a sync does next, to one that says what happened. Returns
 * any other error unchanged, such as the reason of an aborted signal.
 */
export function toPublicError(error: unknown): unknown {
  if (!(error instanceof SyncError)) return error;
  const fault = dataverseFault(error);
  const { message, operation } = error;
  // The rest of such a hint names settings of the sync.
  const hint = error.hint?.replace(/ In the sync, .*$/s, '');
  if (fault === undefined)
    return new (classWithoutFault(error))(message, {
      ...{ operation, hint },
      isTransient: error instanceof RetriableError,
    });
  const { status, code, serverMessage, requestId, clientRequestId, correlationId } = fault;
  const details: DataverseErrorDetails = {
    operation: fault.operation,
    ...{ status, code, serverMessage, requestId, clientRequestId, correlationId, hint },
    retryAfterSeconds: fault.retryAfterSeconds,
    // That of a bulk message is not retried, but the rows that were not written can be sent again.
    isTransient: fault.transient || status === 429,
    maybeExecuted: fault.method !== 'GET' && (maybeExecuted(fault) || fault.maybeDoneBefore === true),
  };
  if (error instanceof InternalChangeTrackingError) {
    return new ChangeTrackingError(message, { ...details, reason: error.reason });
  }
  return new (classOf(error, fault))(message, details);
}

type ErrorClass = new (message: string, details: DataverseErrorDetails) => DataverseError;

function classWithoutFault(error: SyncError): ErrorClass {
  if (error instanceof RetriableError) return TransientError;
  if (!(error instanceof ConfigurationError)) return DataverseError;
  return error.operation === 'get a token' ? AuthenticationError : UsageError;
}

function classOf(error: SyncError, fault: DataverseFault): ErrorClass {
  const { status, code } = fault;
  // Another request was asked to wait, and this one with it.
  const isPaused = fault.notSent === true && fault.retryAfterSeconds !== undefined;
  if (status === 429 || isPaused) return ThrottlingError;
  if (isPrivilegeFault(fault)) return PermissionError;
  if (status === 401 || code === codes.notAMember) return AuthenticationError;
  if (status === 403) return PermissionError;
  // A redirect, a certificate, a server that is not Dataverse.
  if (error instanceof ConfigurationError) return DataverseError;
  if (fault.transient || error instanceof RetriableError) return TransientError;
  if (status === 404) return NotFoundError;
  if (status === 412) return isDuplicate(fault) ? DuplicateError : ConcurrencyError;
  return status !== undefined && status >= 400 && status < 500 ? RequestError : DataverseError;
}

const duplicateCodes: ReadonlySet<string> = new Set([
  codes.duplicateRecord,
  codes.duplicateKey,
  codes.duplicateFound,
]);

/** Whether a row is in the way of the write. Dataverse has sent the message without a code. */
function isDuplicate({ code = '', serverMessage = '' }: DataverseFault): boolean {
  return duplicateCodes.has(code) || (code === '' && /already exists|duplicate/i.test(serverMessage));
}
