import { randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { ConfigurationError } from '../../../errors.ts';
import { isForeign, sendForeign } from '../../foreign-requests.ts';
import { type RegisteredFunction, type TypedData, triggerOf } from '../core-api.ts';
import type { Invoker } from '../invoker.ts';
import { end, readBody, send, toHeaders, toQuery, traceParentOf } from './http-messages.ts';
import { RouteTemplate } from './route-template.ts';

interface Route {
  fn: RegisteredFunction;
  template: RouteTemplate;
  methods: ReadonlySet<string>;
  authLevel: string;
}

interface Options {
  functions: RegisteredFunction[];
  routePrefix: string;
  invoker: Invoker;
  functionKey: string;
  /** Valid for every route, including `authLevel: admin` and `/admin/functions/{name}`. */
  masterKey: string;
  /** The URL where `@azure/functions` receives requests if the app enabled HTTP streams. */
  streamUri: string | undefined;
  /** Runs a function that has no HTTP trigger. Undefined: there is no such function. */
  invokeByName(name: string, input: string): Promise<void> | undefined;
}

const REASON = 'This function was programmatically called via the host APIs.';

/**
 * HTTP triggers. An unknown route and a known route with another method are both 404, as in the Azure host
 * (github.com/Azure/azure-functions-host#10098). A missing or wrong key is 401 without a body.
 */
export class HttpListener {
  readonly #options: Options;
  readonly #routes: Route[];
  readonly #server: Server;

  constructor(options: Options) {
    this.#options = options;
    this.#routes = options.functions
      .map((fn) => toRoute(fn, options.routePrefix))
      .sort((a, b) => RouteTemplate.compare(a.template, b.template));
    this.#server = createServer((req, res) => {
      if (isForeign(req)) return sendForeign(res);
      this.#respond(req, res).catch(() => {
        // The invoker has logged the error; the caller gets no details.
        if (res.headersSent) res.destroy();
        else res.writeHead(500, { 'content-length': 0 }).end();
      });
    });
    // Like Azure's front end, keep idle connections for four minutes. After Node's own five seconds, a client that is
    // about to reuse one gets a reset.
    this.#server.keepAliveTimeout = 240_000;
  }

  /** Listens on the loopback address and returns its URL. @throws ConfigurationError if the port is taken */
  async start(port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) => {
        reject(
          new ConfigurationError(
            cause.code === 'EADDRINUSE'
              ? `Port ${port} is taken`
              : `Cannot listen on port ${port}: ${cause.message}`,
            {
              operation: 'start the functions host',
              object: String(port),
              hint: 'Choose another port with --port.',
              cause,
            },
          ),
        );
      });
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Accepts no new connections. Requests in progress continue. */
  close(): void {
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  abort(): void {
    this.#server.closeAllConnections();
  }

  async #respond(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? '/', `http://${req.headers.host ?? '127.0.0.1'}`);
    const path = url.pathname;
    const admin = /^\/admin\/functions\/([^/]+)\/?$/i.exec(path);
    if (admin !== null && req.method === 'POST') return this.#respondAdmin(admin[1]!, req, res, url);
    for (const route of this.#routes) {
      const params = route.methods.has(req.method ?? '') ? route.template.match(path) : undefined;
      if (params === undefined) continue;
      if (!this.#isAllowed(route.authLevel, req, url)) return end(res, 401);
      if (this.#options.streamUri !== undefined) return this.#forward(route, req, res, params);
      return this.#invoke(route, req, res, url, params);
    }
    end(res, 404);
  }

  /** learn.microsoft.com: Manually run a non HTTP-triggered function. */
  async #respondAdmin(name: string, req: IncomingMessage, res: ServerResponse, url: URL): Promise<void> {
    if (!this.#isAllowed('admin', req, url)) return end(res, 401);
    const body = await readBody(req);
    let input: unknown;
    try {
      input = (JSON.parse(body?.toString('utf8') || '{}') as { input?: unknown }).input;
    } catch {
      return end(res, 400);
    }
    const text = typeof input === 'string' ? input : input === undefined ? '' : JSON.stringify(input);
    const running = this.#options.invokeByName(name, text);
    // The response does not wait, and the invoker logs errors.
    running?.catch(() => undefined);
    end(res, running === undefined ? 404 : 202);
  }

  #isAllowed(authLevel: string, req: IncomingMessage, url: URL): boolean {
    if (authLevel === 'anonymous') return true;
    const key = req.headers['x-functions-key'] ?? url.searchParams.get('code');
    if (typeof key !== 'string') return false;
    return (
      isEqual(key, this.#options.masterKey) ||
      (authLevel === 'function' && isEqual(key, this.#options.functionKey))
    );
  }

  async #invoke(
    route: Route,
    req: IncomingMessage,
    res: ServerResponse,
    url: URL,
    params: Record<string, string>,
  ): Promise<void> {
    const bytes = await readBody(req);
    if (bytes === undefined) return end(res, 413);
    const http = {
      method: req.method!,
      url: url.href,
      headers: toHeaders(req),
      query: toQuery(url.searchParams),
      params,
      body: bytes.length > 0 ? { bytes } : null,
    };
    const response = await this.#options.invoker.invoke(route.fn, {
      reason: REASON,
      inputData: [{ name: triggerOf(route.fn.metadata)[0], data: { http } }],
      traceParent: traceParentOf(req),
    });
    send(res, response.returnValue?.http);
  }

  /** Forwards the request to the stream server of `@azure/functions`, without buffering request or response. */
  async #forward(
    route: Route,
    req: IncomingMessage,
    res: ServerResponse,
    params: Record<string, string>,
  ): Promise<void> {
    const invocationId = randomUUID();
    const headers = toHeaders(req);
    const target = request(new URL(req.url ?? '/', this.#options.streamUri), {
      method: req.method,
      headers: {
        ...headers,
        'x-forwarded-host': req.headers.host ?? '127.0.0.1',
        'x-forwarded-proto': 'http',
        'x-ms-invocation-id': invocationId,
      },
    });
    const responded = new Promise<IncomingMessage>((resolve, reject) => {
      target.once('response', resolve).once('error', reject);
    });
    const relayed = responded.then(async (response) => {
      const { 'x-ms-invocation-id': _, ...rest } = response.headers;
      res.writeHead(response.statusCode ?? 500, rest);
      await pipeline(response, res);
    });
    const sent = pipeline(req, target);
    sent.catch(() => undefined);
    relayed.catch(() => undefined);
    const triggerMetadata: Record<string, TypedData> = { Headers: { json: JSON.stringify(headers) } };
    for (const [name, value] of Object.entries(params)) triggerMetadata[name] = { string: value };
    try {
      await this.#options.invoker.invoke(route.fn, {
        invocationId,
        reason: REASON,
        inputData: [{ name: triggerOf(route.fn.metadata)[0], data: {} }],
        triggerMetadata,
        traceParent: traceParentOf(req),
      });
    } catch (error) {
      target.destroy();
      throw error;
    }
    // The stream server sends no response for a function that returns nothing.
    const timer = setTimeout(() => target.destroy(), 1000);
    const response = await responded.catch(() => undefined);
    clearTimeout(timer);
    if (response === undefined) return end(res, 204);
    await relayed;
  }
}

function toRoute(fn: RegisteredFunction, prefix: string): Route {
  const [, trigger] = triggerOf(fn.metadata);
  const route = typeof trigger['route'] === 'string' ? trigger['route'] : fn.metadata.name;
  const methods = (trigger['methods'] as string[] | undefined) ?? ['GET', 'POST'];
  return {
    fn,
    template: new RouteTemplate(`${prefix}/${route}`),
    methods: new Set(methods.map((method) => method.toUpperCase())),
    authLevel: String(trigger['authLevel'] ?? 'function').toLowerCase(),
  };
}

function isEqual(given: string, key: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(key)];
  return a.length === b.length && timingSafeEqual(a, b);
}
