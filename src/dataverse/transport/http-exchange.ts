import http from 'node:http';
import https from 'node:https';
import {
  type Agent,
  createDefaultHttpClient,
  createEmptyPipeline,
  createHttpHeaders,
  createPipelineRequest,
  getDefaultProxySettings,
  type HttpClient,
  type HttpHeaders,
  type Pipeline,
  proxyPolicy,
  type TlsSettings,
  userAgentPolicy,
} from '@azure/core-rest-pipeline';
import { availableMemory } from '../../config/available-memory.ts';
import { isLoopback } from '../../config/environment-url.ts';
import type { RequestNames } from '../errors/error-response.ts';
import { mergeHeaders } from '../prefer.ts';
import { authPolicy, type TokenSource } from './auth-policy.ts';
import { ByteBudget } from './byte-budget.ts';
import type { Call } from './call.ts';
import type { Reply } from './reply.ts';
import { BodyError, readBody } from './response-body.ts';
import { wirePolicy } from './wire-policy.ts';

export interface HttpExchangeOptions {
  origin: string;
  tokens: TokenSource;
  /** The HTTP client to use, for tests. */
  httpClient?: HttpClient | undefined;
  /** A private certificate authority. */
  tls?: TlsSettings | undefined;
}

const mebibyte = 1024 ** 2;
/** Largest body of most responses. Those of pages have a limit of their own. */
const maxBytes = 64 * mebibyte;
/** An error of Dataverse has some kilobytes. Of a longer one, only the status is used. */
const maxErrorBytes = mebibyte;

/** For all responses of this process: half a gigabyte, or less where memory is small. */
export const responsesInMemory = new ByteBudget(
  Math.max(64 * mebibyte, Math.min(512 * mebibyte, availableMemory() / 4)),
);

/** Sends requests with the token and reads whole responses, without retries or time limits. */
export class HttpExchange {
  readonly #client: HttpClient;
  readonly #pipeline: Pipeline;
  readonly #tls: TlsSettings | undefined;
  readonly #isPlainHttp: boolean;
  readonly #newConnections: Agent | undefined;

  constructor({ origin, tokens, httpClient, tls }: HttpExchangeOptions) {
    this.#client = httpClient ?? createDefaultHttpClient();
    this.#tls = tls;
    this.#isPlainHttp = origin.startsWith('http:');
    const isLocal = isLoopback(new URL(origin));
    // A proxy brings its own agent.
    const isProxied = !isLocal && getDefaultProxySettings() !== undefined;
    const Agents = this.#isPlainHttp ? http.Agent : https.Agent;
    this.#newConnections = isProxied ? undefined : new Agents({ keepAlive: false, ...tls });
    this.#pipeline = createEmptyPipeline();
    this.#pipeline.addPolicy(userAgentPolicy({ userAgentPrefix: 'dataverse-sqlite-sync' }));
    if (!isLocal) this.#pipeline.addPolicy(proxyPolicy());
    this.#pipeline.addPolicy(authPolicy(tokens, origin), { phase: 'Sign' });
    this.#pipeline.addPolicy(wirePolicy, { afterPhase: 'Sign' });
  }

  /** Returns the response, decompressed, and the size of its body as transferred. */
  async send(
    url: string,
    call: Call,
    names: RequestNames,
    options: { idempotent: boolean; signal: AbortSignal },
  ): Promise<{ reply: Reply; wireBytes: number }> {
    const headers = createHttpHeaders();
    for (const [name, value] of Object.entries(headersOf(call, names))) {
      if (value !== undefined) headers.set(name, value);
    }
    const request = createPipelineRequest({
      url,
      method: call.method ?? 'GET',
      headers,
      abortSignal: options.signal,
      allowInsecureConnection: this.#isPlainHttp,
      streamResponseStatusCodes: new Set([Number.POSITIVE_INFINITY]),
      body: call.body,
    });
    // createPipelineRequest ignores `tlsSettings` and `agent`.
    if (this.#tls !== undefined) request.tlsSettings = this.#tls;
    // The server may close a kept-alive connection just as the request is sent. A request that must not be
    // sent twice uses a new connection. (`disableKeepAlive` uses Node's global agent, which keeps them too.)
    if (!options.idempotent && this.#newConnections !== undefined) request.agent = this.#newConnections;
    const sentAt = performance.now();
    const response = await this.#pipeline.sendRequest(this.#client, request);
    const { status, headers: responseHeaders, readableStreamBody } = response;
    const isSuccess = status >= 200 && status <= 299;
    const hold = responsesInMemory.open();
    const release = () => hold.close();
    const limits = {
      maxBytes: isSuccess ? (call.maxBytes ?? maxBytes) : maxErrorBytes,
      hold,
      signal: options.signal,
    };
    try {
      const { body, wireBytes } = await readBody(readableStreamBody, responseHeaders, limits).catch(
        (error) => {
          // What a response says besides its status is not worth much memory.
          if (isSuccess || !(error instanceof BodyError) || error.isCutShort) throw error;
          return { body: Buffer.alloc(0), wireBytes: 0 };
        },
      );
      hold.complete();
      const requestedAt = serverTime(responseHeaders, performance.now() - sentAt);
      return {
        reply: {
          status,
          headers: responseHeaders,
          body,
          url,
          names,
          requestedAt,
          release,
          exact: call.exact,
        },
        wireBytes,
      };
    } catch (error) {
      release();
      throw error;
    }
  }
}

/** The `Date` header, which has whole seconds, less the milliseconds that have passed since the request was sent. */
function serverTime(headers: HttpHeaders, passedMs: number): number | undefined {
  const date = Date.parse(headers.get('date') ?? '');
  return Number.isNaN(date) ? undefined : date - passedMs;
}

function headersOf(call: Call, names: RequestNames): Record<string, string | undefined> {
  return {
    Accept: 'application/json',
    'OData-Version': '4.0',
    'OData-MaxVersion': '4.0',
    'Content-Type': typeof call.body === 'string' ? 'application/json; charset=utf-8' : undefined,
    ...mergeHeaders(call.requestHeaders, call.headers),
    'x-ms-client-request-id': names.clientRequestId,
    'x-ms-correlation-id': names.correlationId,
  };
}
