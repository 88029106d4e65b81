import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { authorize } from './authorize.ts';
import { buildStore } from './build-store.ts';
import { writeCsdl } from './csdl-writer.ts';
import type { Dataverse, SampleDataverseStats } from './dataverse.ts';
import { errorResponse } from './error-response.ts';
import { Fragment, gzipped } from './fragment.ts';
import type { SampleDataverseOptions } from './options.ts';
import { prewarm } from './prewarm.ts';
import { route } from './router.ts';
import type { ServiceRequest, ServiceResponse } from './service.ts';
import { ServiceError } from './service-error.ts';
import type { Store } from './store.ts';

/** A running sample Dataverse. */
export interface SampleDataverse {
  /** Its origin, without a path. */
  url: string;
  /** The rows behind the service: for tests to change them and to read the truth. */
  store: Store;
  stats: SampleDataverseStats;
  stop(): Promise<void>;
}

/** Starts an HTTP server that answers as the Dataverse Web API v9.2 does, on the loopback address. */
export async function startSampleDataverse(options: SampleDataverseOptions = {}): Promise<SampleDataverse> {
  const dataverse = openDataverse(options);
  const server = createServer({ maxHeaderSize: 131_072 }, (request, response) => {
    serve(dataverse, request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.keepAliveTimeout = 60_000;
  await listen(server, options.port ?? 0);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  if (options.prewarm) {
    await prewarm(dataverse, url, typeof options.prewarm === 'string' ? options.prewarm : undefined);
  }
  return { url, store: dataverse.store, stats: dataverse.stats, stop: () => close(server) };
}

function openDataverse(options: SampleDataverseOptions): Dataverse {
  const { store, document } = buildStore(options);
  const verbatim = document === undefined ? undefined : new Fragment(document);
  const written = new Map<string, Fragment>();
  return {
    store,
    options,
    stats: { requests: 0, bytes: 0, rows: 0, statuses: {} },
    metadataDocument(annotations) {
      if (verbatim !== undefined) return verbatim;
      const key = `${store.metadataVersion}/${annotations}`;
      const fragment = written.get(key) ?? new Fragment(writeCsdl(store.model, annotations));
      written.set(key, fragment);
      return fragment;
    },
  };
}

async function serve(
  dataverse: Dataverse,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  dataverse.stats.requests++;
  const response = await answer(dataverse, incoming);
  const count = dataverse.stats.statuses;
  count[response.status] = (count[response.status] ?? 0) + 1;
  const compress =
    /\bgzip\b/.test(incoming.headers['accept-encoding'] ?? '') &&
    response.body.reduce((sum, fragment) => sum + fragment.bytes.length, 0) > 1024;
  const parts = compress ? await gzipped(response.body) : response.body.map((fragment) => fragment.bytes);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  dataverse.stats.bytes += length;
  outgoing.writeHead(response.status, {
    ...response.headers,
    'cache-control': 'no-cache',
    'x-ms-service-request-id': crypto.randomUUID(),
    'set-cookie': 'ARRAffinity=sample; path=/; HttpOnly',
    ...(compress ? { 'content-encoding': 'gzip', vary: 'Accept-Encoding' } : {}),
    ...(response.status === 204 || response.status === 304 ? {} : { 'content-length': String(length) }),
  });
  for (const part of parts) outgoing.write(part);
  outgoing.end();
}

async function answer(dataverse: Dataverse, incoming: IncomingMessage): Promise<ServiceResponse> {
  const request = await readRequest(incoming);
  try {
    const refusal = authorize(dataverse.options, request);
    return refusal ?? route(dataverse, request);
  } catch (error) {
    if (error instanceof ServiceError) return errorResponse(error, request);
    // A fault of the emulator itself: seen by whoever asked, in the service's own form.
    return errorResponse(
      new ServiceError(500, '0x80040216', `An unexpected error occurred. ${stackOf(error)}`),
      request,
    );
  }
}

async function readRequest(incoming: IncomingMessage): Promise<ServiceRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const url = incoming.url ?? '/';
  const at = url.indexOf('?');
  return {
    method: incoming.method ?? 'GET',
    origin: `http://${incoming.headers.host ?? '127.0.0.1'}`,
    path: decodePath(at < 0 ? url : url.slice(0, at)),
    query: at < 0 ? '' : url.slice(at + 1),
    headers: Object.fromEntries(
      Object.entries(incoming.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(',') : value,
      ]),
    ),
    body: Buffer.concat(chunks),
  };
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve());
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => (error === undefined ? resolve() : reject(error)));
    server.closeAllConnections();
  });
}
