import { randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { ConfigurationError } from '../../../errors.ts';
import type { HttpData, RegisteredFunction, TypedData } from '../core-api.ts';
import type { Invoker } from '../invoker.ts';
import { end, readBody, send, toHeaders, toQuery, traceOf } from './http-messages.ts';
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
  /** Opens everything, `authLevel: admin` and `/admin/functions/{name}` too. */
  masterKey: string;
  /** Where `@azure/functions` takes requests when the app asked for HTTP streams. */
  streamUri: string | undefined;
  /** Runs a function that has no HTTP trigger; undefined where there is none of that name. */
  invokeByName(name: string, input: string): Promise<void> | undefined;
}

/**
 * HTTP triggers. An unknown route and a known one with another method are both 404, as the host has it
 * (github.com/Azure/azure-functions-host#10098); a missing or wrong key is 401 without a body.
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
      this.#answer(req, res).catch(() => {
        // The invoker has logged the error. The caller learns no more than that there was one.
        if (res.headersSent) res.destroy();
        else res.writeHead(500, { 'content-length': 0 }).end();
      });
    });
  }

  /** Listens on the loopback address and returns its URL. @throws ConfigurationError where the port is taken. */
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

  /** Takes no new connections; requests under way go on. */
  close(): void {
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  abort(): void {
    this.#server.closeAllConnections();
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? '/', `http://${req.headers.host ?? '127.0.0.1'}`);
    const path = url.pathname;
    const admin = /^\/admin\/functions\/([^/]+)\/?$/i.exec(path);
    if (admin !== null && req.method === 'POST') return this.#answerAdmin(admin[1]!, req, res, url);
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
  async #answerAdmin(name: string, req: IncomingMessage, res: ServerResponse, url: URL): Promise<void> {
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
    // The answer does not wait, and the invoker logs what goes wrong.
    running?.catch(() => undefined);
    end(res, running === undefined ? 404 : 202);
  }

  #isAllowed(authLevel: string, req: IncomingMessage, url: URL): boolean {
    if (authLevel === 'anonymous') return true;
    const key = req.headers['x-functions-key'] ?? url.searchParams.get('code');
    if (typeof key !== 'string') return false;
    return (
      isSame(key, this.#options.masterKey) ||
      (authLevel === 'function' && isSame(key, this.#options.functionKey))
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
    const http: HttpData = {
      method: req.method!,
      url: url.href,
      headers: toHeaders(req),
      query: toQuery(url.searchParams),
      params,
      body: bytes.length > 0 ? { bytes } : null,
    };
    const response = await this.#options.invoker.invoke(route.fn, {
      reason: `This function was programmatically called via the host APIs.`,
      inputData: [{ name: Object.keys(route.fn.metadata.bindings)[0]!, data: { http } }],
      ...traceOf(req),
    });
    send(res, response.returnValue?.http);
  }

  /** Hands the request to the server that `@azure/functions` opens for streams, body and answer unbuffered. */
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
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      target.once('response', resolve).once('error', reject);
    });
    const relayed = answered.then(async (answer) => {
      const { 'x-ms-invocation-id': _, ...rest } = answer.headers;
      res.writeHead(answer.statusCode ?? 500, rest);
      await pipeline(answer, res);
    });
    const sent = pipeline(req, target);
    sent.catch(() => undefined);
    relayed.catch(() => undefined);
    const triggerMetadata: Record<string, TypedData> = { Headers: { json: JSON.stringify(headers) } };
    for (const [name, value] of Object.entries(params)) triggerMetadata[name] = { string: value };
    try {
      await this.#options.invoker.invoke(route.fn, {
        invocationId,
        reason: 'This function was programmatically called via the host APIs.',
        inputData: [{ name: Object.keys(route.fn.metadata.bindings)[0]!, data: {} }],
        triggerMetadata,
        ...traceOf(req),
      });
    } catch (error) {
      target.destroy();
      throw error;
    }
    // A function that returns nothing leaves the stream's server without an answer.
    const nothing = setTimeout(() => target.destroy(), 1000);
    const got = await answered.catch(() => undefined);
    clearTimeout(nothing);
    if (got === undefined) return end(res, 204);
    await relayed;
  }
}

function toRoute(fn: RegisteredFunction, prefix: string): Route {
  const trigger = Object.values(fn.metadata.bindings)[0]!;
  const route = typeof trigger['route'] === 'string' ? trigger['route'] : fn.metadata.name;
  const methods = (trigger['methods'] as string[] | undefined) ?? ['GET', 'POST'];
  return {
    fn,
    template: new RouteTemplate(`${prefix}/${route}`),
    methods: new Set(methods.map((method) => method.toUpperCase())),
    authLevel: String(trigger['authLevel'] ?? 'function').toLowerCase(),
  };
}

function isSame(given: string, key: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(key)];
  return a.length === b.length && timingSafeEqual(a, b);
}
