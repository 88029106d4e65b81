/** What every error of the client carries. No field contains a token or values of a row. */
export interface DataverseErrorDetails {
  /** The operation that failed: `read page 3 of accounts`. */
  operation?: string | undefined;
  /** HTTP status; undefined without a response. */
  status?: number | undefined;
  /** Dataverse's error code, lower-case hexadecimal (`0x80040217`), or the network's (`ECONNRESET`, `TIMEOUT`). */
  code?: string | undefined;
  /** Dataverse's own message, on one line, shortened. */
  serverMessage?: string | undefined;
  /** `x-ms-service-request-id`, which Microsoft support asks for. */
  requestId?: string | undefined;
  /** `x-ms-client-request-id`, as sent. */
  clientRequestId?: string | undefined;
  correlationId?: string | undefined;
  /** Seconds that Dataverse asked to wait. */
  retryAfterSeconds?: number | undefined;
  /** What to do about it. */
  hint?: string | undefined;
  /** Whether the same request may succeed later. */
  isTransient?: boolean | undefined;
  /** Whether Dataverse may have executed the write although it did not say so. Read before you repeat it. */
  maybeExecuted?: boolean | undefined;
  cause?: unknown;
}

/** The base class of all errors of the client. An aborted call rejects with the reason of its signal instead. */
export class DataverseError extends Error {
  override readonly name: string = 'DataverseError';
  readonly operation: string | undefined;
  readonly status: number | undefined;
  readonly code: string | undefined;
  readonly serverMessage: string | undefined;
  readonly requestId: string | undefined;
  readonly clientRequestId: string | undefined;
  readonly correlationId: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly hint: string | undefined;
  readonly isTransient: boolean;
  readonly maybeExecuted: boolean;

  constructor(message: string, details: DataverseErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.operation = details.operation;
    this.status = details.status;
    this.code = details.code;
    this.serverMessage = details.serverMessage;
    this.requestId = details.requestId;
    this.clientRequestId = details.clientRequestId;
    this.correlationId = details.correlationId;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.hint = details.hint;
    this.isTransient = details.isTransient === true;
    this.maybeExecuted = details.maybeExecuted === true;
  }
}

/** The call is wrong: an invalid name, id, URL or option. Nothing was sent. */
export class UsageError extends DataverseError {
  override readonly name: string = 'UsageError';
}

/** Sign-in failed, the token was rejected, or the identity is not a user of the environment. */
export class AuthenticationError extends DataverseError {
  override readonly name: string = 'AuthenticationError';
}

/** The user lacks a privilege. The hint names it if Dataverse does. */
export class PermissionError extends DataverseError {
  override readonly name: string = 'PermissionError';
}

/** The row, table or other resource does not exist (404). */
export class NotFoundError extends DataverseError {
  override readonly name: string = 'NotFoundError';
}

/** The row has another version than the `etag` (412). Read it again. */
export class ConcurrencyError extends DataverseError {
  override readonly name: string = 'ConcurrencyError';
}

/** A row with this id or alternate key exists, or duplicate detection found one (412). */
export class DuplicateError extends DataverseError {
  override readonly name: string = 'DuplicateError';
}

/** Dataverse rejected the request: invalid values, an unknown column, a query that it does not support (4xx). */
export class RequestError extends DataverseError {
  override readonly name: string = 'RequestError';
}

/** A fault that may pass: no connection, a time limit, a busy service. The retries of the client are used up. */
export class TransientError extends DataverseError {
  override readonly name: string = 'TransientError';
}

/** Service protection limits (429). `retryAfterSeconds` says how long to wait. */
export class ThrottlingError extends TransientError {
  override readonly name: string = 'ThrottlingError';
}

/**
 * Changes cannot be read from a token.
 * - `expired`: the token is too old, or the table's definition changed. Read the whole table again.
 * - `not-enabled`: the table does not track changes.
 * - `refused`: the user lacks Read at organisation level, or an option is not supported.
 */
export class ChangeTrackingError extends DataverseError {
  override readonly name: string = 'ChangeTrackingError';
  readonly reason: 'expired' | 'not-enabled' | 'refused';
  constructor(
    message: string,
    details: DataverseErrorDetails & { reason: 'expired' | 'not-enabled' | 'refused' },
  ) {
    super(message, details);
    this.reason = details.reason;
  }
}
