import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Dataverse } from '../dataverse.ts';
import { Damage, gatewayAnswer } from '../faults/damage.ts';
import { errorOf, type Fault, Faults } from '../faults/faults.ts';
import { ServiceProtection } from '../faults/service-protection.ts';
import { isAuthorized, unauthorized } from './authorize.ts';
import { errorResponse } from './error-response.ts';
import { route } from './router.ts';
import { sendResponse } from './send-response.ts';
import { ServiceError } from './service-error.ts';
import type { ServiceRequest, ServiceResponse } from './service-request.ts';
import { TokenService } from './token-service.ts';

/** How long a request waits that gets no response. */
const defaultSilenceMs = 60_000;

/** Serves HTTP requests: faults, token service, service protection, authorization, then the Web API. */
export class Exchange {
  readonly faults: Faults;
  readonly tokens: TokenService;
  readonly #dataverse: Dataverse;
  readonly #scheme: 'http' | 'https';
  readonly #protection: ServiceProtection;
  readonly #damage = new Damage();

  constructor(dataverse: Dataverse, scheme: 'http' | 'https') {
    const { options } = dataverse;
    this.#dataverse = dataverse;
    this.#scheme = scheme;
    this.faults = new Faults(options.seed ?? 1);
    this.tokens = new TokenService(options, () => dataverse.store.now().getTime());
    this.#protection = new ServiceProtection(options.protection, options.dopHint ?? 16);
  }

  async serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const request = await readRequest(incoming, this.#scheme);
    const fault = this.faults.pick(request);
    if (fault?.kind === 'reset') return void outgoing.socket?.resetAndDestroy();
    if (fault?.kind === 'timeout') return silence(outgoing, fault);
    const token = fault === undefined ? this.tokens.answer(request) : undefined;
    if (token !== undefined) return void (await sendResponse(incoming, outgoing, token, undefined));
    const start = performance.now();
    try {
      const response = this.#answer(request, fault);
      const { latencyMs } = this.#dataverse.options;
      if (latencyMs) await delay(latencyMs);
      if (fault?.kind === 'commit-then-reset') return void outgoing.socket?.resetAndDestroy();
      if (fault?.kind === 'commit-then-timeout') return await silence(outgoing, fault);
      const damaged = this.#damage.apply(fault, request, response);
      this.#dataverse.stats.bytes += await sendResponse(incoming, outgoing, damaged, fault);
    } finally {
      this.#protection.leave(performance.now() - start);
    }
  }

  #answer(request: ServiceRequest, fault: Fault | undefined): ServiceResponse {
    const { stats } = this.#dataverse;
    stats.requests++;
    const response = this.#settle(request, fault);
    stats.statuses[response.status] = (stats.statuses[response.status] ?? 0) + 1;
    stats.earlyRequests = this.#protection.early;
    const wait = Number(response.headers['retry-after']);
    if (wait > 0) this.#protection.close(wait);
    return { ...response, headers: { ...response.headers, ...this.#serviceHeaders(request) } };
  }

  #settle(request: ServiceRequest, fault: Fault | undefined): ServiceResponse {
    try {
      this.#protection.enter();
      const error = fault === undefined ? undefined : errorOf(fault);
      if (error !== undefined) throw error;
      const gateway = fault === undefined ? undefined : gatewayAnswer(fault, () => unauthorized(request));
      if (gateway !== undefined) return gateway;
      if (!isAuthorized(this.#dataverse.options, this.tokens, request)) return unauthorized(request);
      return route(this.#dataverse, request);
    } catch (error) {
      if (error instanceof ServiceError) return errorResponse(error, request);
      // A defect of the sample itself: the client gets the stack, in the service's own form.
      const unexpected = `An unexpected error occurred. ${error instanceof Error ? error.stack : String(error)}`;
      return errorResponse(new ServiceError(500, '0x80040216', unexpected), request);
    }
  }

  #serviceHeaders(request: ServiceRequest): Record<string, string> {
    const id = crypto.randomUUID();
    const headers: Record<string, string> = {
      date: this.#dataverse.store.now().toUTCString(),
      'cache-control': 'no-cache',
      'x-ms-service-request-id': id,
      REQ_ID: id,
      'set-cookie': 'ARRAffinity=sample; path=/; HttpOnly',
      ...this.#protection.headers(),
    };
    const clientId = request.headers['x-ms-client-request-id'];
    if (clientId !== undefined) headers['x-ms-client-request-id'] = clientId;
    return headers;
  }
}

/** Sends nothing for a while, then closes the connection. */
async function silence(outgoing: ServerResponse, fault: Fault): Promise<void> {
  await delay(fault.delayMs ?? defaultSilenceMs, undefined, { ref: false });
  outgoing.destroy();
}

async function readRequest(incoming: IncomingMessage, scheme: string): Promise<ServiceRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const url = incoming.url ?? '/';
  const at = url.indexOf('?');
  const headers = Object.entries(incoming.headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(',') : value,
  ]);
  return {
    method: incoming.method ?? 'GET',
    origin: `${scheme}://${incoming.headers.host ?? '127.0.0.1'}`,
    path: decodePath(at < 0 ? url : url.slice(0, at)),
    query: at < 0 ? '' : url.slice(at + 1),
    headers: Object.fromEntries(headers),
    body: Buffer.concat(chunks),
  };
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
