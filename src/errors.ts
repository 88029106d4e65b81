/**
 * The error tree, sorted by consequence: what the caller does next is decided by the class alone.
 * Every error names the operation, the thing it happened to, its cause, and what to do about it.
 */

/** What an error carries beside its message. No field may hold a secret or row data. */
export interface ErrorDetails {
  /** What was being done, as a verb and its object: `read page 3 of accounts`. */
  operation?: string;
  /** The thing it happened to: a table's logical name, a blob, a setting. */
  object?: string;
  /** What the reader can do about it, as an instruction. */
  hint?: string;
  cause?: unknown;
}

/** The base of all errors that this project throws on purpose. */
export class SyncError extends Error {
  override readonly name: string = 'SyncError';
  readonly operation: string | undefined;
  readonly object: string | undefined;
  readonly hint: string | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.operation = details.operation;
    this.object = details.object;
    this.hint = details.hint;
  }
}

/** The configuration is wrong: stop and tell the user. Trying again cannot help. */
export class ConfigurationError extends SyncError {
  override readonly name: string = 'ConfigurationError';
}

/** A passing fault (network, throttling, a busy service): the queue delivers the message again. */
export class RetriableError extends SyncError {
  override readonly name: string = 'RetriableError';
  /** Seconds to wait before the next try, where the service said so. */
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, details: ErrorDetails & { retryAfterSeconds?: number | undefined } = {}) {
    super(message, details);
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/** This entity cannot be synced in this run (refused permission, unknown table); the others go on. */
export class SkipTableError extends SyncError {
  override readonly name: string = 'SkipTableError';
}

/** Somebody else changed the thing first: reload it and do the work again. */
export class ConflictError extends SyncError {
  override readonly name: string = 'ConflictError';
}

/** The error's message and hint for people, one line, never a stack. */
export function describeError(error: unknown): { message: string; hint?: string } {
  if (error instanceof SyncError) {
    return error.hint === undefined
      ? { message: error.message }
      : { message: error.message, hint: error.hint };
  }
  return { message: error instanceof Error ? error.message : String(error) };
}

/** An error as a document keeps it and a report shows it. */
export interface Failure {
  error: string;
  hint?: string;
}

/** An error as it is kept and shown: what happened and what to do. */
export function describeFailure(error: unknown): Failure {
  const { message, hint } = describeError(error);
  return { error: message, hint };
}
