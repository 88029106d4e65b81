import type { HttpHeaders, HttpMethods } from '@azure/core-rest-pipeline';
import type { ExactTexts } from '../exact-texts.ts';
import type { RetryOptions } from './retry.ts';
import type { RequestStats } from './stats.ts';

/** What every function of the client accepts besides its own arguments. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Sent as `x-ms-correlation-id`, to match Microsoft's logs with ours. */
  correlationId?: string | undefined;
  /** Counts the requests of this call, in addition to the client's totals. */
  stats?: RequestStats | undefined;
  /** Of this call, instead of the client's: for a caller with another way if Dataverse does not answer at once. */
  retry?: Partial<RetryOptions> | undefined;
  /** Seconds for one attempt of this call, including the body, instead of the limit that fits the request. */
  attemptSeconds?: number | undefined;
  /** The numbers of the response that become texts. @default none */
  exact?: ExactTexts | undefined;
  /** Sent with each request of the call, besides its own headers: for example `CallerObjectId`. */
  requestHeaders?: Readonly<Record<string, string | undefined>> | undefined;
}

/** One request to the Web API. */
export interface Call extends CallOptions {
  /** What the request is for, without values: `read page 3 of accounts`. For errors and logs. */
  operation: string;
  entitySet?: string | undefined;
  /** What is read or written, without numbers and names, for the name of the span. @default from `operation` */
  subject?: string | undefined;
  /** @default 'GET' */
  method?: HttpMethods;
  /** A path below `/api/data/v9.2/`, or an absolute URL on the environment's origin. */
  url: string;
  /** Headers with an undefined value are not sent. */
  headers?: Record<string, string | undefined> | undefined;
  /** A string is sent as JSON, unless the headers name another type. */
  body?: Buffer | string | undefined;
  /** Whether the server may execute the request twice without harm. @default true for GET, false otherwise */
  idempotent?: boolean;
  /** Whether the request is about a file or a document, whose responses may lack the headers of OData. */
  isFile?: boolean;
  /** Which responses besides 2xx are not errors. */
  accepts?: (status: number, headers: HttpHeaders) => boolean;
  /** Codes of transient faults that the caller handles itself: the client does not retry them. */
  notRetried?: readonly string[];
  /**
   * Largest accepted body of a successful response, in bytes after decompression; of an error it is 1 MiB.
   * @default 64 MiB
   */
  maxBytes?: number | undefined;
  /** Whether the caller keeps the body, and calls `release` of the reply when it is done with it. @default false */
  keepsBody?: boolean | undefined;
  /** Seconds for one attempt, including the body. @default 120; 300 until the transport's first response */
  timeoutSeconds?: number;
}
