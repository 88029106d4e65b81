/**
 * The errors that this project throws on purpose. The class alone decides what the caller does next.
 * Each error names the operation, its object, its cause and what to do about it.
 */

import { safeText } from './safe-text.ts';

/** What an error carries besides its message. No field may contain a secret or row data. */
export interface ErrorDetails {
  /** The operation that failed, as a verb and its object: `read page 3 of accounts`. */
  operation?: string;
  /** What the operation worked on: a table's logical name, a blob, a setting. */
  object?: string;
  /** What the reader can do about it, as an instruction. */
  hint?: string;
  cause?: unknown;
}

/** Base class of all errors below. */
export class SyncError extends Error {
  override readonly name: string = 'SyncError';
  readonly operation: string | undefined;
  readonly object: string | undefined;
  readonly hint: string | undefined;

  /** @param message without secrets; a text from outside may be in it, see safe-text.ts */
  constructor(message: string, details: ErrorDetails = {}) {
    // `{ cause: undefined }` would print a cause.
    super(safeText(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.operation = details.operation;
    this.object = details.object;
    this.hint = details.hint && safeText(details.hint);
  }
}

/** The configuration is wrong: stop and tell the user. A retry cannot help. */
export class ConfigurationError extends SyncError {
  override readonly name: string = 'ConfigurationError';
}

/** A transient fault (network, throttling, a busy service): the queue delivers the message again. */
export class RetriableError extends SyncError {
  override readonly name: string = 'RetriableError';
  /** Seconds to wait before the retry, if the service named them. */
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, details: ErrorDetails & { retryAfterSeconds?: number | undefined } = {}) {
    super(message, details);
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/** This table cannot be synced in this run (missing privilege, unknown table). The other tables continue. */
export class SkipTableError extends SyncError {
  override readonly name: string = 'SkipTableError';
}

/** Another writer changed the object first: read it again and repeat the work. */
export class ConflictError extends SyncError {
  override readonly name: string = 'ConflictError';
}

/** The error's message and hint for people, without a stack. */
export function describeError(error: unknown): { message: string; hint?: string } {
  if (error instanceof SyncError) return { message: error.message, hint: error.hint };
  return { message: safeText(error instanceof Error ? error.message : String(error)) };
}

/** An error as documents store it and reports show it. */
export interface Failure {
  error: string;
  hint?: string;
}

/**
 * The error as a `Failure`. The text of an error that this project did not throw is internal, and may quote row data: it
 * stays in the log.
 * @param runId the run that the log names beside the error
 */
export function describeFailure(error: unknown, runId: string): Failure {
  if (error instanceof SyncError) return { error: error.message, hint: error.hint };
  return {
    error: 'The function app failed with an unexpected error.',
    hint: `The log of the function app has the error. Search it for ${runId}.`,
  };
}

/** The error for the log: its message, with a stack if this project did not throw it. */
export function describeForLog(error: unknown): string {
  if (error instanceof SyncError) return error.message;
  return safeText(error instanceof Error ? (error.stack ?? String(error)) : String(error));
}
