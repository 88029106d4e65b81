import {
  ConfigurationError,
  ConflictError,
  type ErrorDetails,
  RetriableError,
  SkipTableError,
  SyncError,
} from '../../../errors.ts';

/** An error as it goes from one thread to another: the classes of errors.ts would become plain errors. */
export interface PackedError extends Omit<ErrorDetails, 'cause'> {
  name: string;
  message: string;
  stack?: string;
  retryAfterSeconds?: number;
}

const classes = { SyncError, ConfigurationError, RetriableError, SkipTableError, ConflictError };

export function packError(error: unknown): PackedError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message, stack } = error;
  if (!(error instanceof SyncError)) return { name, message, stack };
  const { operation, object, hint } = error;
  const retryAfterSeconds = error instanceof RetriableError ? error.retryAfterSeconds : undefined;
  return { name, message, stack, operation, object, hint, retryAfterSeconds };
}

export function unpackError({ name, message, stack, ...details }: PackedError): Error {
  const known = Object.hasOwn(classes, name) ? classes[name as keyof typeof classes] : undefined;
  const error = known === undefined ? new Error(message) : new known(message, details);
  error.stack = stack ?? error.stack;
  return error;
}
