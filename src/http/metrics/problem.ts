import type { HttpResponseInit } from '@azure/functions';
import {
  ConfigurationError,
  describeError,
  RetriableError,
  SkipTableError,
  SyncError,
} from '../../errors.ts';
import type { Fault } from '../../metrics/contract/exact-json.ts';

/** A problem detail; RFC 9457. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail?: string;
  /** Every fault of the request, each with a JSON Pointer to where it stands. */
  errors?: Fault[];
}

const titles: Record<number, string> = {
  400: 'The request is not valid',
  404: 'Not found',
  405: 'Method not allowed',
  413: 'The body is too large',
  415: 'The media type is not supported',
  422: 'Dataverse refused the record',
  500: 'Something went wrong here',
  502: 'Dataverse cannot be used as it is set up',
  503: 'Not possible at the moment',
};

export function problem(
  status: number,
  detail: string,
  more: { errors?: Fault[]; headers?: Record<string, string> } = {},
): HttpResponseInit {
  return {
    status,
    headers: { 'Content-Type': 'application/problem+json', ...more.headers },
    body: JSON.stringify(problemDetail(status, detail, more.errors)),
  };
}

export function problemDetail(status: number, detail: string, errors?: Fault[]): Problem {
  const title = titles[status] ?? 'The request failed';
  return { type: 'about:blank', title, status, detail, ...(errors === undefined ? {} : { errors }) };
}

/** The answer to a method that the resource does not have. */
export function methodNotAllowed(allowed: readonly string[]): HttpResponseInit {
  return problem(405, `This resource takes ${allowed.join(', ')}.`, {
    headers: { Allow: allowed.join(', ') },
  });
}

/** The answer where an error ended the work. Mistakes of this program tell nothing of themselves to callers. */
export function problemOf(error: unknown): HttpResponseInit {
  const { message, hint } = describeError(error);
  const detail = hint === undefined ? message : `${message} ${hint}`;
  if (error instanceof RetriableError) {
    const seconds = Math.max(1, Math.ceil(error.retryAfterSeconds ?? 5));
    return problem(503, detail, { headers: { 'Retry-After': String(seconds) } });
  }
  if (error instanceof ConfigurationError || error instanceof SkipTableError) return problem(502, detail);
  if (error instanceof SyncError) return problem(502, detail);
  if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')) {
    return problem(503, 'Dataverse did not answer in time.', { headers: { 'Retry-After': '5' } });
  }
  return problem(500, 'The log of the function app has the reason.');
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): HttpResponseInit {
  return {
    status,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  };
}
