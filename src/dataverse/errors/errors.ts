import {
  ConfigurationError,
  ConflictError,
  type ErrorDetails,
  RetriableError,
  SkipTableError,
  SyncError,
} from '../../errors.ts';

/** What Dataverse, or the way to it, said. Enough for a support request; never a body, a token or row data. */
export interface DataverseFault {
  /** HTTP status; undefined where no answer came. */
  status?: number | undefined;
  /** Dataverse's own code, lower case hexadecimal (`0x80072322`), or the network's (`ECONNRESET`). */
  code?: string | undefined;
  /** Dataverse's own sentence, shortened. */
  serverMessage?: string | undefined;
  /** What was being done: `read page 3 of accounts`. */
  operation: string;
  /** The entity set it happened to. */
  entity?: string | undefined;
  /** HTTP method. */
  method?: string | undefined;
  /** `x-ms-service-request-id` or `REQ_ID`: what Microsoft support asks for. */
  requestId?: string | undefined;
  /** `x-ms-client-request-id` as sent. */
  clientRequestId?: string | undefined;
  correlationId?: string | undefined;
  retryAfterSeconds?: number | undefined;
  /** Whether the same request may succeed later. */
  transient: boolean;
  /** Whether an earlier try of the same request may have been carried out, though no answer said so. */
  maybeDoneBefore?: boolean;
}

/** Operation and object are the fault's own where not given. */
export interface FaultDetails extends ErrorDetails {
  fault: DataverseFault;
}

export interface WithFault<Base extends SyncError> {
  new (message: string, details: FaultDetails): Base & { readonly fault: DataverseFault };
}

/** An error class of `src/errors.ts` that carries the fault too: what to do about it stays told by the class. */
export function withFault<Base extends SyncError>(
  Base: new (message: string, details: FaultDetails) => Base,
): WithFault<Base> {
  class ErrorWithFault extends (Base as unknown as typeof SyncError) {
    readonly fault: DataverseFault;
    constructor(message: string, details: FaultDetails) {
      const { operation, entity: object, retryAfterSeconds } = details.fault;
      const own = { operation, object, retryAfterSeconds, ...details };
      super(message, own);
      this.fault = details.fault;
    }
  }
  return ErrorWithFault as unknown as WithFault<Base>;
}

/** Dataverse refused this one request for a reason of its own (bad data, missing row, too large). */
export class DataverseError extends withFault(SyncError) {
  override readonly name: string = 'DataverseError';
}

/** A passing fault that outlasted the client's own retries, or that it must not retry by itself. */
export class DataverseRetriableError extends withFault(RetriableError) {
  override readonly name: string = 'DataverseRetriableError';
}

/** This table cannot be read as asked: missing privilege, unknown set, unsupported query. */
export class DataverseSkipError extends withFault(SkipTableError) {
  override readonly name: string = 'DataverseSkipError';
}

/** Address, identity or application user are wrong: nothing will work until somebody mends it. */
export class DataverseConfigurationError extends withFault(ConfigurationError) {
  override readonly name: string = 'DataverseConfigurationError';
}

/** A condition of the write did not hold (status 412): the row exists, or changed meanwhile. */
export class DataverseConflictError extends withFault(ConflictError) {
  override readonly name: string = 'DataverseConflictError';
}

/**
 * The answer is no use: cut short, not JSON, without `value`. Says kind and position, never content,
 * because the content may be row data.
 */
export class UnreadableBodyError extends DataverseRetriableError {
  override readonly name: string = 'UnreadableBodyError';
}

/** A link that must not be followed: to another origin, or the same one twice. */
export class LinkError extends SyncError {
  override readonly name: string = 'LinkError';
}

/** The fault that an error from this client carries, if it is one. */
export function dataverseFault(error: unknown): DataverseFault | undefined {
  return error instanceof SyncError && 'fault' in error ? (error.fault as DataverseFault) : undefined;
}
