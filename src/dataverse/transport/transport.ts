import { randomUUID } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Agent,
  createDefaultHttpClient,
  createEmptyPipeline,
  createHttpHeaders,
  createPipelineRequest,
  getDefaultProxySettings,
  type HttpClient,
  type HttpHeaders,
  type HttpMethods,
  type Pipeline,
  proxyPolicy,
  type TlsSettings,
  userAgentPolicy,
} from '@azure/core-rest-pipeline';
import { isLoopback } from '../../config/environment-url.ts';
import { SyncError } from '../../errors.ts';
import { errorFromResponse, faultOf, type RequestNames, requestIdOf } from '../errors/error-response.ts';
import { dataverseFault, UnreadableBodyError } from '../errors/errors.ts';
import { isRolledBack } from '../errors/fault-codes.ts';
import { parseDopHint, parseHeaderNumber } from '../errors/rate-limit-headers.ts';
import { authPolicy, type TokenSource } from './auth-policy.ts';
import { type Limiter, PauseTooLong } from './limiter.ts';
import { errorFromNetwork, errorFromPause } from './network-errors.ts';
import { readBody } from './response-body.ts';
import { defaultRetryOptions, type RetryOptions, retryDelay } from './retry.ts';
import { addRequestStats, createRequestStats, type RequestStats } from './stats.ts';
import { wirePolicy } from './wire-policy.ts';

/** What every method of the client takes besides its own arguments. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Sent as `x-ms-correlation-id`, so that Microsoft's logs and ours can be laid side by side. */
  correlationId?: string | undefined;
  /** Counts the requests of this call, besides the client's own totals. */
  stats?: RequestStats | undefined;
}

export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  properties?: Record<string, unknown>,
) => void;

export interface Call extends CallOptions {
  /** `read page 3 of accounts`: for errors and logs, without values. */
  operation: string;
  entity?: string | undefined;
  method?: HttpMethods;
  /** A path below `/api/data/v9.2/`, or an absolute URL on the environment's own origin. */
  url: string;
  headers?: Record<string, string> | undefined;
  /** A string is sent as JSON, unless the headers say otherwise. */
  body?: Buffer | string | undefined;
  /** Whether doing it twice is as good as once. @default true for GET, false otherwise */
  idempotent?: boolean;
  /** Which answers besides 2xx are no errors. */
  accepts?: (status: number, headers: HttpHeaders) => boolean;
  /** Codes of passing faults that the caller deals with better than by trying the same again. */
  notRetried?: readonly string[];
  /** Seconds for one try, body included. @default 120, 300 until the first answer of the process */
  timeoutSeconds?: number;
}

export interface Reply {
  status: number;
  headers: HttpHeaders;
  body: Buffer;
  url: string;
  /** How many tries it took. */
  tries: number;
  /** The names of the request, for errors about this answer. */
  names: RequestNames;
}

export interface TransportOptions {
  origin: string;
  tokens: TokenSource;
  limiter: Limiter;
  retry?: Partial<RetryOptions> | undefined;
  /** Gets operations, statuses and ids; never a URL's query, a body or a token. */
  log?: Log | undefined;
  /** The transport underneath, for tests. */
  httpClient?: HttpClient | undefined;
  /** A certificate authority of one's own. */
  tls?: TlsSettings | undefined;
  /** Numbers in [0, 1) for the jitter. @default Math.random */
  random?: (() => number) | undefined;
}

/** An idle environment needs long to wake. */
const firstTimeoutSeconds = 300;
const timeoutSeconds = 120;

/** Sends requests to one environment: token, limiter, timeout, retries, errors, counting. */
export class Transport {
  readonly origin: string;
  /** What relative paths are below: `https://org.crm.dynamics.com/api/data/v9.2/`. */
  readonly base: string;
  readonly stats: RequestStats = createRequestStats();
  readonly #limiter: Limiter;
  readonly #http: HttpClient;
  readonly #pipeline: Pipeline;
  readonly #retry: RetryOptions;
  readonly #log: Log;
  readonly #random: () => number;
  readonly #tls: TlsSettings | undefined;
  readonly #unkept: Agent | undefined;
  #answered = false;

  constructor(options: TransportOptions) {
    this.origin = options.origin;
    this.base = `${this.origin}/api/data/v9.2/`;
    this.#limiter = options.limiter;
    this.#http = options.httpClient ?? createDefaultHttpClient();
    this.#retry = { ...defaultRetryOptions, ...options.retry };
    this.#log = options.log ?? (() => {});
    this.#random = options.random ?? Math.random;
    this.#tls = options.tls;
    const isLocal = isLoopback(new URL(this.origin));
    // A proxy brings an agent of its own.
    const proxied = !isLocal && getDefaultProxySettings() !== undefined;
    const Agents = this.origin.startsWith('http:') ? http.Agent : https.Agent;
    this.#unkept = proxied ? undefined : new Agents({ keepAlive: false, ...this.#tls });
    this.#pipeline = createEmptyPipeline();
    this.#pipeline.addPolicy(userAgentPolicy({ userAgentPrefix: 'dataverse-sqlite-sync' }));
    if (!isLocal) this.#pipeline.addPolicy(proxyPolicy());
    this.#pipeline.addPolicy(authPolicy(options.tokens, this.origin), { phase: 'Sign' });
    this.#pipeline.addPolicy(wirePolicy, { afterPhase: 'Sign' });
  }

  /**
   * Sends a request until it succeeds, cannot succeed, or has had its tries.
   * @param read makes the result of the answer; what it throws as UnreadableBodyError counts as a passing fault
   */
  async send<T>(call: Call, read: (reply: Reply) => T): Promise<T> {
    const names: RequestNames = {
      operation: call.operation,
      entity: call.entity,
      method: call.method ?? 'GET',
      correlationId: call.correlationId ?? randomUUID(),
    };
    const idempotent = call.idempotent ?? names.method === 'GET';
    // The time in the queue before the first try does not count.
    let began: number | undefined;
    const elapsed = () => (began === undefined ? 0 : secondsSince(began));
    let maybeDoneBefore = false;
    for (let tries = 1; ; tries += 1) {
      names.clientRequestId = randomUUID();
      try {
        await this.#place(call, names, this.#retry.maxTotalSeconds - elapsed(), tries > 1);
        began ??= performance.now();
        return await this.#try(call, names, idempotent, (reply) => read({ ...reply, tries }));
      } catch (error) {
        const fault = dataverseFault(error);
        if (fault === undefined || call.signal?.aborted) throw error;
        if (maybeDoneBefore) fault.maybeDoneBefore = true;
        // Some answers say that nothing was done; a gateway's, or none, leaves it open.
        const { code = '', retryAfterSeconds } = fault;
        const saysNothingDone = fault.status === 429 || isRolledBack(code) || notSent.has(code);
        const maybeDone = fault.transient && !saysNothingDone;
        const transient = fault.transient && !call.notRetried?.includes(code);
        const elapsedSeconds = elapsed();
        const failed = { tries, elapsedSeconds, transient, maybeDone, idempotent, retryAfterSeconds };
        const wait = retryDelay(failed, this.#retry, this.#random());
        const properties = { ...names, status: fault.status, code: fault.code, tries };
        if (wait === undefined) {
          this.#log('warn', `Cannot ${names.operation}`, properties);
          throw error;
        }
        this.#log('info', `Trying again to ${names.operation}`, { ...properties, waitSeconds: wait });
        maybeDoneBefore ||= maybeDone;
        this.#count(call.stats, { retries: 1 });
        if (retryAfterSeconds !== undefined) this.#limiter.pause(wait);
        else {
          const slept = performance.now();
          const { signal } = call;
          await sleep(wait * 1000, undefined, { signal }).catch(() => signal?.throwIfAborted());
          this.#count(call.stats, { waitedSeconds: secondsSince(slept) });
        }
      }
    }
  }

  /** Waits for a free place; `#try` gives it back. */
  async #place(call: Call, names: RequestNames, patience: number, again: boolean): Promise<void> {
    const queued = performance.now();
    await this.#limiter.acquire(call.signal, patience, again).catch((error) => {
      throw error instanceof PauseTooLong ? errorFromPause(names, error.seconds) : error;
    });
    this.#count(call.stats, { waitedSeconds: secondsSince(queued) });
  }

  async #try<T>(call: Call, names: RequestNames, idempotent: boolean, read: (reply: Reply) => T): Promise<T> {
    const began = performance.now();
    const attempt = new AbortController();
    const onAbort = () => attempt.abort();
    call.signal?.addEventListener('abort', onAbort, { once: true });
    const limit = call.timeoutSeconds ?? (this.#answered ? timeoutSeconds : firstTimeoutSeconds);
    const timer = setTimeout(() => attempt.abort(), limit * 1000);
    try {
      const reply = await this.#exchange(call, names, idempotent, attempt.signal).catch((error) => {
        if (call.signal?.aborted) throw call.signal.reason;
        if (error instanceof SyncError) throw error;
        throw errorFromNetwork(names, error, attempt.signal.aborted ? limit : undefined);
      });
      this.#observe(reply, began);
      if ((reply.status < 200 || reply.status > 299) && !call.accepts?.(reply.status, reply.headers)) {
        throw errorFromResponse(names, reply.status, reply.headers, reply.body);
      }
      return read(reply);
    } finally {
      clearTimeout(timer);
      call.signal?.removeEventListener('abort', onAbort);
      this.#limiter.release();
    }
  }

  async #exchange(call: Call, names: RequestNames, idempotent: boolean, signal: AbortSignal): Promise<Reply> {
    const url = /^https?:\/\//i.test(call.url) ? call.url : this.base + call.url;
    const request = createPipelineRequest({
      url,
      method: call.method ?? 'GET',
      headers: createHttpHeaders({
        Accept: 'application/json',
        'OData-Version': '4.0',
        'OData-MaxVersion': '4.0',
        ...(typeof call.body === 'string' && { 'Content-Type': 'application/json; charset=utf-8' }),
        ...call.headers,
        'x-ms-client-request-id': names.clientRequestId!,
        'x-ms-correlation-id': names.correlationId!,
      }),
      abortSignal: signal,
      allowInsecureConnection: this.origin.startsWith('http:'),
      streamResponseStatusCodes: new Set([Number.POSITIVE_INFINITY]),
      body: call.body,
    });
    // The constructor does not take these two.
    if (this.#tls !== undefined) request.tlsSettings = this.#tls;
    // A kept connection may be closed by the server just as the request leaves: what must not be sent
    // twice takes a new one. (`disableKeepAlive` means Node's global agent, which keeps them too.)
    if (!idempotent && this.#unkept !== undefined) request.agent = this.#unkept;
    this.#count(call.stats, { requests: 1 });
    const response = await this.#pipeline.sendRequest(this.#http, request);
    const { status, headers } = response;
    const { body, wireBytes } = await readBody(response.readableStreamBody, headers);
    this.#count(call.stats, { bytesReceived: body.length, wireBytes, throttled: status === 429 ? 1 : 0 });
    return { status, headers, body, url, tries: 1, names };
  }

  /** Lets the limiter and the debug log know what the answer said. */
  #observe({ status, headers, body, names }: Reply, began: number): void {
    this.#answered = true;
    if (status === 429) {
      const { fault } = errorFromResponse(names, status, headers, body);
      this.#limiter.throttled(fault.retryAfterSeconds ?? 0);
    } else this.#limiter.succeeded(parseDopHint(headers.get('x-ms-dop-hint')));
    this.#log('debug', `Answered: ${names.operation}`, {
      ...names,
      status,
      seconds: secondsSince(began),
      bytes: body.length,
      remainingRequests: parseHeaderNumber(headers.get('x-ms-ratelimit-burst-remaining-xrm-requests')),
      remainingSeconds: parseHeaderNumber(headers.get('x-ms-ratelimit-time-remaining-xrm-requests')),
      requestId: requestIdOf(headers),
    });
  }

  #count(stats: RequestStats | undefined, more: Partial<RequestStats>): void {
    addRequestStats(this.stats, more);
    if (stats !== undefined) addRequestStats(stats, more);
  }
}

/** Faults of the network that come before the request is sent. */
const notSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

function secondsSince(began: number): number {
  return (performance.now() - began) / 1000;
}

/** The error for an answer that is no use, for the `read` of `send`. `what` names kind and position, never content. */
export function unreadable({ status, headers, names }: Reply, what: string): UnreadableBodyError {
  return new UnreadableBodyError(`Cannot ${names.operation}: ${what}`, {
    fault: faultOf(names, { status, requestId: requestIdOf(headers), serverMessage: what, transient: true }),
    hint: /html/i.test(headers.get('content-type') ?? '')
      ? 'A web page came instead of data: check that the address is a Dataverse environment.'
      : 'The answer was damaged on its way: try again later.',
  });
}
