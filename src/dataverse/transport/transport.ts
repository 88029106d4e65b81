import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { SyncError } from '../../errors.ts';
import { errorFromResponse, type RequestNames, requestIdOf } from '../errors/error-response.ts';
import {
  type DataverseFault,
  dataverseFault,
  UnexpectedResponseError,
  UnreadableBodyError,
} from '../errors/errors.ts';
import { parseDopHint, parseHeaderNumber, parseRetryAfter } from '../errors/rate-limit-headers.ts';
import type { Call } from './call.ts';
import { HttpExchange, type HttpExchangeOptions } from './http-exchange.ts';
import { type Limiter, PauseTooLongError } from './limiter.ts';
import { asBatch, fromBatch, needsBatch } from './long-url.ts';
import { errorFromNetwork, errorFromPause } from './network-errors.ts';
import { checkOrigin, type Reply } from './reply.ts';
import { requestSpanAttributes, requestSpanName } from './request-span.ts';
import { defaultRetryOptions, maxPause, maybeExecuted, type RetryOptions, retryDelay } from './retry.ts';
import { addRequestStats, createRequestStats, type RequestStats } from './stats.ts';

export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  properties?: Record<string, unknown>,
) => void;

/** Runs one attempt of a request as a span of a trace. */
export type TraceRequest = <Result>(
  name: string,
  options: { kind: 'client'; attributes: SpanAttributes },
  work: (span: { attributes: SpanAttributes }) => Promise<Result>,
) => Promise<Result>;

type SpanAttributes = Record<string, string | number | boolean | undefined>;

export interface TransportOptions extends HttpExchangeOptions {
  limiter: Limiter;
  /** @default no traces */
  trace?: TraceRequest | undefined;
  retry?: Partial<RetryOptions> | undefined;
  /**
   * Receives one debug line per response and per retry, with operation, status and ids; never a URL's query,
   * a body or a token. A request that fails is not logged but thrown: the caller decides what it means.
   */
  log?: Log | undefined;
  /** Random numbers in [0, 1) for the jitter of retries. @default Math.random */
  random?: (() => number) | undefined;
}

/** Time limit of an attempt until the first response: an idle environment is slow to wake up. */
const firstTimeoutSeconds = 300;
const timeoutSeconds = 120;

/** Sends calls to one environment, under the limiter, with time limits, retries, typed errors and counters. */
export class Transport {
  readonly origin: string;
  /** URL of the Web API, to which relative paths are appended: `https://org.crm.dynamics.com/api/data/v9.2/`. */
  readonly base: string;
  readonly stats: RequestStats = createRequestStats();
  readonly #exchange: HttpExchange;
  readonly #limiter: Limiter;
  readonly #retry: RetryOptions;
  readonly #log: Log;
  readonly #random: () => number;
  readonly #trace: TraceRequest;
  #hasResponded = false;

  constructor(options: TransportOptions) {
    this.origin = options.origin;
    this.base = `${this.origin}/api/data/v9.2/`;
    this.#exchange = new HttpExchange(options);
    this.#limiter = options.limiter;
    this.#retry = { ...defaultRetryOptions, ...options.retry };
    this.#log = options.log ?? (() => {});
    this.#random = options.random ?? Math.random;
    this.#trace = options.trace ?? ((_name, _options, work) => work({ attributes: {} }));
  }

  /**
   * Sends a request until it succeeds, cannot succeed, or has used up its attempts. A read whose URL is too long is sent in
   * a batch.
   * @param read makes the result from the response; a transient fault that it throws is retried
   */
  async send<T>(call: Call, read: (reply: Reply) => T): Promise<T> {
    if (needsBatch(call, this.base)) {
      return this.send(asBatch(call, this.base), (reply) => read(fromBatch(reply)));
    }
    const names: RequestNames = {
      operation: call.operation,
      entitySet: call.entitySet,
      method: call.method ?? 'GET',
      correlationId: call.correlationId ?? randomUUID(),
    };
    const idempotent = call.idempotent ?? names.method === 'GET';
    const retry = { ...this.#retry, ...call.retry };
    // The time in the limiter's queue before the first attempt does not count.
    let startedAt: number | undefined;
    const elapsed = () => (startedAt === undefined ? 0 : secondsSince(startedAt));
    let maybeDoneBefore = false;
    /** Attempts that failed with a fault whose number of tries is limited. */
    let limitedTries = 0;
    for (let tries = 1; ; tries += 1) {
      names.clientRequestId = randomUUID();
      try {
        await this.#acquireSlot(call, names, maxPause(retry) - elapsed(), tries > 1);
        startedAt ??= performance.now();
        return await this.#trace(
          requestSpanName(call),
          { kind: 'client', attributes: requestSpanAttributes(call, this.origin) },
          (span) =>
            this.#attempt(
              call,
              names,
              idempotent,
              (reply) => read(maybeDoneBefore ? { ...reply, maybeDoneBefore } : reply),
              span,
            ),
        );
      } catch (error) {
        const fault = dataverseFault(error);
        if (fault === undefined || call.signal?.aborted) throw error;
        if (maybeDoneBefore) fault.maybeDoneBefore = true;
        const maybeDone = maybeExecuted(fault);
        const { maxTries } = fault;
        if (maxTries !== undefined) limitedTries += 1;
        const isExhausted = maxTries !== undefined && limitedTries >= maxTries;
        const wait = retryDelay(
          {
            tries,
            elapsedSeconds: elapsed(),
            transient: fault.transient && !isExhausted && !call.notRetried?.includes(fault.code ?? ''),
            maybeDone,
            idempotent,
            retryAfterSeconds: fault.retryAfterSeconds,
          },
          retry,
          this.#random(),
        );
        if (wait === undefined) throw isExhausted ? error : asRetriable(error);
        maybeDoneBefore ||= maybeDone;
        await this.#waitBeforeRetry(call, names, fault, tries + 1, wait);
      }
    }
  }

  /** Waits until the limiter admits the request. `#attempt` releases the slot. */
  async #acquireSlot(call: Call, names: RequestNames, maxPauseSeconds: number, isRetry: boolean) {
    const queuedAt = performance.now();
    await this.#limiter.acquire(call.signal, maxPauseSeconds, isRetry).catch((error) => {
      throw error instanceof PauseTooLongError ? errorFromPause(names, error.seconds) : error;
    });
    this.#count(call, { waitedSeconds: secondsSince(queuedAt) });
  }

  async #attempt<T>(
    call: Call,
    names: RequestNames,
    idempotent: boolean,
    read: (reply: Reply) => T,
    span: { attributes: SpanAttributes },
  ): Promise<T> {
    const startedAt = performance.now();
    const attempt = new AbortController();
    const onAbort = () => attempt.abort();
    call.signal?.addEventListener('abort', onAbort, { once: true });
    const limit =
      call.attemptSeconds ??
      call.timeoutSeconds ??
      (this.#hasResponded ? timeoutSeconds : firstTimeoutSeconds);
    const timer = setTimeout(() => attempt.abort(), timerMs(limit));
    const url = /^https?:\/\//i.test(call.url) ? call.url : this.base + call.url;
    let release: (() => void) | undefined;
    try {
      // The signal may have fired after the limiter admitted the request: its listener is never called then.
      call.signal?.throwIfAborted();
      this.#count(call, { requests: 1 });
      const options = { idempotent, signal: attempt.signal };
      const { reply, wireBytes } = await this.#exchange.send(url, call, names, options).catch((error) => {
        if (call.signal?.aborted) throw call.signal.reason;
        if (error instanceof SyncError) throw error;
        throw errorFromNetwork(names, error, attempt.signal.aborted ? limit : undefined);
      });
      const { status, headers, body } = reply;
      release = reply.release;
      span.attributes['http.response.status_code'] = status;
      span.attributes['dataverse.request_id'] = requestIdOf(headers);
      this.#count(call, { bytesReceived: body.length, wireBytes, throttled: status === 429 ? 1 : 0 });
      const pausedAlone = this.#observe(reply, startedAt) === 'resource';
      if (status >= 200 && status <= 299) checkOrigin(reply, { isFile: call.isFile === true });
      else if (!call.accepts?.(status, headers)) {
        const error = errorFromResponse(names, status, headers, body);
        error.fault.pausedAlone = pausedAlone;
        throw error;
      }
      const result = read(reply);
      if (call.keepsBody) release = undefined;
      return result;
    } finally {
      release?.();
      clearTimeout(timer);
      call.signal?.removeEventListener('abort', onAbort);
      this.#limiter.release();
    }
  }

  /** Reports a response to the limiter and to the debug log. @returns what a pause applies to */
  #observe({ status, headers, body, names }: Reply, startedAt: number): 'all' | 'resource' {
    this.#hasResponded = true;
    const { entitySet: resource = '' } = names;
    let paused: 'all' | 'resource' = 'all';
    if (status === 429) {
      const seconds = parseRetryAfter(headers.get('retry-after'), headers.get('date')) ?? 0;
      paused = this.#limiter.throttled(seconds, resource);
    } else this.#limiter.succeeded(parseDopHint(headers.get('x-ms-dop-hint')), resource);
    this.#log('debug', `Received status ${status}: ${names.operation}`, {
      ...names,
      status,
      seconds: secondsSince(startedAt),
      bytes: body.length,
      remainingRequests: parseHeaderNumber(headers.get('x-ms-ratelimit-burst-remaining-xrm-requests')),
      remainingSeconds: parseHeaderNumber(headers.get('x-ms-ratelimit-time-remaining-xrm-requests')),
      requestId: requestIdOf(headers),
    });
    return paused;
  }

  /** Waits; after a `Retry-After`, in the limiter, together with all other requests. */
  async #waitBeforeRetry(
    call: Call,
    names: RequestNames,
    { status, code, retryAfterSeconds, pausedAlone }: DataverseFault,
    attempt: number,
    waitSeconds: number,
  ): Promise<void> {
    const properties = { ...names, status, code, attempt, waitSeconds };
    this.#log('debug', `Retrying in ${waitSeconds.toFixed(1)} seconds: ${names.operation}`, properties);
    this.#count(call, { retries: 1 });
    if (retryAfterSeconds !== undefined && !pausedAlone) return this.#limiter.pause(waitSeconds);
    const sleptAt = performance.now();
    const { signal } = call;
    await sleep(timerMs(waitSeconds), undefined, { signal }).catch(() => signal?.throwIfAborted());
    this.#count(call, { waitedSeconds: secondsSince(sleptAt) });
  }

  #count({ stats }: Call, more: Partial<RequestStats>): void {
    addRequestStats(this.stats, more);
    if (stats !== undefined) addRequestStats(stats, more);
  }
}

/** An error whose tries are not used up is left to the queue, although it ends this call. */
function asRetriable(error: unknown): unknown {
  if (!(error instanceof UnexpectedResponseError)) return error;
  return new UnreadableBodyError(error.message, { fault: error.fault, hint: error.hint });
}

/** Milliseconds for a timer. A longer one than 2^31-1 would end at once (nodejs.org: `setTimeout`). */
function timerMs(seconds: number): number {
  return Math.min(seconds * 1000, 2 ** 31 - 1);
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
