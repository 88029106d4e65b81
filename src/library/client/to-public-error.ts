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
  const { message, operation, hint } = error;
  if (fault === undefined) return new (classWithoutFault(error))(message, { operation, hint });
  const { status, code, serverMessage, requestId, clientRequestId, correlationId } = fault;
  const details: DataverseErrorDetails = {
    operation: fault.operation,
    ...{ status, code, serverMessage, requestId, clientRequestId, correlationId, hint },
    retryAfterSeconds: fault.retryAfterSeconds,
    isTransient: fault.transient,
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

const concurrency: ReadonlySet<string> = new Set([codes.concurrencyVersionMismatch]);

function classOf(error: SyncError, fault: DataverseFault): ErrorClass {
  const { status, code = '' } = fault;
  if (status === 429) return ThrottlingError;
  if (isPrivilegeFault(fault)) return PermissionError;
  if (error instanceof ConfigurationError) return AuthenticationError;
  if (status === 403) return PermissionError;
  if (fault.transient || error instanceof RetriableError) return TransientError;
  if (status === 404) return NotFoundError;
  if (status === 412) return concurrency.has(code) ? ConcurrencyError : DuplicateError;
  return status !== undefined && status >= 400 && status < 500 ? RequestError : DataverseError;
}
