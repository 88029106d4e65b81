import { ServiceError } from '../http/service-error.ts';
import type { ServiceRequest } from '../http/service-request.ts';
import { Random } from '../rows/random.ts';

/**
 * The kinds of faults.
 *
 * Sent instead of a response: `429` (service protection), `503`, `504`, `502-html`, `401`, `403-not-a-member`,
 * `sql-timeout`, `deadlock`, `query-throttled`, `expired-token` (of change tracking), `error` (with a status, code
 * and message of your choice), `reset` (the connection ends without a response), `timeout` (no response for
 * `delayMs`).
 *
 * Done to the response after the request was executed: `commit-then-timeout`, `commit-then-reset`,
 * `reset-mid-body`, `truncate` (part of the body, with a matching length), `not-json`, `empty-body`, `slow-body`,
 * `repeat-nextlink` (the page links to itself), `endless-nextlink` (to itself under a new address each time),
 * `foreign-nextlink` (to another host), `repeat-row` (the page starts
 * with the last row of the previous one).
 */
export type FaultKind =
  | '429'
  | '503'
  | '504'
  | '502-html'
  | '401'
  | '403-not-a-member'
  | 'sql-timeout'
  | 'deadlock'
  | 'query-throttled'
  | 'expired-token'
  | 'error'
  | 'reset'
  | 'timeout'
  | 'commit-then-timeout'
  | 'commit-then-reset'
  | 'reset-mid-body'
  | 'truncate'
  | 'not-json'
  | 'empty-body'
  | 'slow-body'
  | 'repeat-nextlink'
  | 'endless-nextlink'
  | 'foreign-nextlink'
  | 'repeat-row';

export interface Fault {
  kind: FaultKind;
  /** Matches requests. A pattern is tested on `GET /api/data/v9.2/accounts?$select=name`. Default: all requests. */
  match?: RegExp | ((request: Pick<ServiceRequest, 'method' | 'path' | 'query' | 'headers'>) => boolean);
  /** How many matching requests fail. Default 1, or no limit with `rate`. */
  times?: number;
  /** The share of matching requests that fail, from 0 to 1. */
  rate?: number;
  /** How many matching requests pass before the first failure. */
  after?: number;
  /** Seconds in `Retry-After`, for 429 and 503. Default 1 for 429, none for 503. */
  retryAfter?: number;
  /** For `timeout`, `commit-then-timeout` (default 60,000) and `slow-body` (default 2,000). */
  delayMs?: number;
  /** For `error`. */
  status?: number;
  code?: string;
  message?: string;
}

export interface ActiveFault {
  readonly fault: Fault;
  /** How many requests failed because of it. */
  readonly hits: number;
  remove(): void;
}

/** The active faults. */
export class Faults {
  readonly #active = new Set<CountedFault>();
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed, 'faults');
  }

  add(fault: Fault): ActiveFault {
    const counted = new CountedFault(fault, () => this.#active.delete(counted));
    this.#active.add(counted);
    return counted;
  }

  clear(): void {
    this.#active.clear();
  }

  /** The fault for a request, if there is one. */
  pick(request: ServiceRequest): Fault | undefined {
    for (const counted of this.#active) {
      if (counted.appliesTo(request, () => this.#random.fraction())) return counted.fault;
    }
    return undefined;
  }
}

class CountedFault implements ActiveFault {
  readonly fault: Fault;
  readonly remove: () => void;
  hits = 0;
  #seen = 0;

  constructor(fault: Fault, remove: () => void) {
    this.fault = fault;
    this.remove = remove;
  }

  appliesTo(request: ServiceRequest, fraction: () => number): boolean {
    const { match, after = 0, rate } = this.fault;
    const line = `${request.method} ${request.path}${request.query === '' ? '' : `?${request.query}`}`;
    const matches = match === undefined || (match instanceof RegExp ? match.test(line) : match(request));
    if (!matches || this.#seen++ < after) return false;
    const times = this.fault.times ?? (rate === undefined ? 1 : Number.POSITIVE_INFINITY);
    if (this.hits >= times || (rate !== undefined && fraction() >= rate)) return false;
    this.hits++;
    return true;
  }
}

const throttled = [
  ['0x80072322', 'Number of requests exceeded the limit of 6000 over time window of 300 seconds.'],
  [
    '0x80072321',
    'Combined execution time of incoming requests exceeded limit of 1,200,000 milliseconds over time window of 300 seconds. Decrease number of concurrent requests or reduce the duration of requests and try again later.',
  ],
  ['0x80072326', 'Number of concurrent requests exceeded the limit of 52.'],
] as const;
let nextThrottle = 0;

/** The error that a fault sends instead of a response, or undefined if it does something else. */
export function errorOf(fault: Fault): ServiceError | undefined {
  const retryAfter = (seconds: number | undefined): { headers: Record<string, string> } => ({
    headers: seconds === undefined ? {} : { 'retry-after': String(seconds) },
  });
  switch (fault.kind) {
    case '429': {
      const [code, message] = throttled[nextThrottle++ % throttled.length]!;
      return new ServiceError(429, code, message, retryAfter(fault.retryAfter ?? 1));
    }
    case '503':
      return new ServiceError(503, '0x80060888', 'The service is unavailable.', retryAfter(fault.retryAfter));
    case '504':
      return new ServiceError(504, '0x80060888', 'The gateway timed out.');
    case '403-not-a-member':
      return new ServiceError(403, '0x80072560', 'The user is not a member of the organization.');
    case 'sql-timeout':
      return new ServiceError(500, '0x80044151', 'SQL timeout expired. Sql Number: -2');
    case 'deadlock':
      return new ServiceError(
        500,
        '0x80044150',
        'Generic SQL error. Sql Number: 1205, transaction was deadlocked',
      );
    case 'query-throttled':
      return new ServiceError(
        400,
        '0x80048544',
        'This query cannot be executed because it conflicts with query throttling.',
      );
    case 'expired-token':
      return new ServiceError(
        400,
        '0x80044352',
        'Version stamp associated with the client has expired. Please perform a full sync.',
      );
    case 'error':
      return new ServiceError(
        fault.status ?? 500,
        fault.code ?? '0x80040216',
        fault.message ?? 'An unexpected error occurred.',
      );
    default:
      return undefined;
  }
}
