import {
  ConfigurationError,
  ConflictError,
  type ErrorDetails,
  RetriableError,
  SkipTableError,
  SyncError,
} from '../../errors.ts';
import { codes } from './fault-codes.ts';

/** What is known about a failed request, enough for a support request. Never a body, a token or row data. */
export interface DataverseFault {
  /** HTTP status; undefined if there was no response. */
  status?: number | undefined;
  /** Dataverse's error code, lower-case hexadecimal (`0x80072322`), or the network's (`ECONNRESET`). */
  code?: string | undefined;
  /** Dataverse's error message, shortened. */
  serverMessage?: string | undefined;
  /** What the request was for: `read page 3 of accounts`. */
  operation: string;
  /** The entity set, or another resource such as `$metadata`. */
  entitySet?: string | undefined;
  /** HTTP method. */
  method?: string | undefined;
  /** `x-ms-service-request-id` or `REQ_ID`, which Microsoft support asks for. */
  requestId?: string | undefined;
  /** `x-ms-client-request-id`, as sent. */
  clientRequestId?: string | undefined;
  correlationId?: string | undefined;
  retryAfterSeconds?: number | undefined;
  /** Whether the server throttles this resource alone, so that requests for others need not wait. */
  pausedAlone?: boolean;
  /** Whether the same request may succeed later. */
  transient: boolean;
  /** Whether the request certainly did not leave, so that the server cannot have executed it. */
  notSent?: boolean;
  /** How often the client sends a request at most that fails this way, if fewer times than usual. */
  maxTries?: number;
  /** What became of each row of a bulk message, if the server says so: elastic tables write the valid ones. */
  bulkRows?: readonly { index: number; id?: string; status: number }[] | undefined;
  /** Whether the server may have executed an earlier attempt of the same request without saying so. */
  maybeDoneBefore?: boolean;
}

/** `operation`, `object` and `retryAfterSeconds` default to those of the fault. */
export interface FaultDetails extends ErrorDetails {
  fault: DataverseFault;
}

export interface WithFault<Base extends SyncError> {
  new (message: string, details: FaultDetails): Base & { readonly fault: DataverseFault };
}

/** Extends an error class of `src/errors.ts` by the fault. The base class still decides what the caller does. */
export function withFault<Base extends SyncError>(
  Base: new (message: string, details: FaultDetails) => Base,
): WithFault<Base> {
  class ErrorWithFault extends (Base as unknown as typeof SyncError) {
    readonly fault: DataverseFault;
    constructor(message: string, details: FaultDetails) {
      const { operation, entitySet: object, retryAfterSeconds } = details.fault;
      const own = { operation, object, retryAfterSeconds, ...details };
      super(message, own);
      this.fault = details.fault;
    }
  }
  return ErrorWithFault as unknown as WithFault<Base>;
}

/** Dataverse rejected this request for a reason of its own (invalid data, missing row, too large). */
export class DataverseError extends withFault(SyncError) {
  override readonly name: string = 'DataverseError';
}

/** A transient fault that outlasted the client's retries, or that the client must not retry. */
export class DataverseRetriableError extends withFault(RetriableError) {
  override readonly name: string = 'DataverseRetriableError';
}

/** This table cannot be read this way: missing privilege, unknown entity set, unsupported query. */
export class DataverseSkipError extends withFault(SkipTableError) {
  override readonly name: string = 'DataverseSkipError';
}

/** The URL, the identity or the application user is wrong. Every request fails until someone fixes it. */
export class DataverseConfigurationError extends withFault(ConfigurationError) {
  override readonly name: string = 'DataverseConfigurationError';
}

/** A condition of the write did not hold (status 412): the row exists, or has changed. */
export class DataverseConflictError extends withFault(ConflictError) {
  override readonly name: string = 'DataverseConflictError';
}

/**
 * A response that did not arrive whole, or an unusable response to a write, which Dataverse may have executed. The
 * message states kind and position, never content, because the content may be row data.
 */
export class UnreadableBodyError extends DataverseRetriableError {
  override readonly name: string = 'UnreadableBodyError';
}

/**
 * A successful response to a read that is not what Dataverse sends: not JSON, without `value`, from a proxy. It stays
 * unusable after a few tries, so this table cannot be read now. The message states kind and position, never content.
 */
export class UnexpectedResponseError extends DataverseSkipError {
  override readonly name: string = 'UnexpectedResponseError';
}

/** How often a request is sent whose responses arrive whole and are unusable: some ten seconds in all. */
const triesOfUnusable = 5;

/** The error for a response that arrived whole and is unusable. It may be damaged in transit, so a few retries follow. */
export function unusableResponse(
  message: string,
  details: ErrorDetails & { fault: Omit<DataverseFault, 'transient'> },
): UnexpectedResponseError | UnreadableBodyError {
  const fault = { ...details.fault, transient: true, maxTries: triesOfUnusable };
  // Without a usable response, a write may have happened. The queue must repeat it.
  const Class = fault.method === 'GET' ? UnexpectedResponseError : UnreadableBodyError;
  return new Class(message, { ...details, fault });
}

/** A link that must not be followed: it leads to another origin, or was followed before. */
export class LinkError extends SyncError {
  override readonly name: string = 'LinkError';
}

/** The fault of an error that this client threw; undefined for any other error. */
export function dataverseFault(error: unknown): DataverseFault | undefined {
  return error instanceof SyncError && 'fault' in error ? (error.fault as DataverseFault) : undefined;
}

/** Whether an error says that the row is missing, not the table. */
export function isMissingRow(error: unknown): boolean {
  const fault = dataverseFault(error);
  if (fault?.status !== 404) return false;
  return fault.code === codes.objectDoesNotExist || fault.code === codes.noRowWithThatKey;
}
