import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SampleDataverseStats } from './dataverse.ts';
import type { Faults } from './faults/faults.ts';
import { makeCertificate } from './http/certificate.ts';
import { Exchange } from './http/exchange.ts';
import type { TokenService } from './http/token-service.ts';
import type { SchemaEditor } from './metadata/schema-editor.ts';
import { openDataverse } from './open-dataverse.ts';
import type { SampleDataverseOptions } from './options.ts';
import { prewarm } from './prewarm.ts';
import type { Store } from './rows/store.ts';
import type { FileRoutes } from './write/file-routes.ts';

/** A running sample Dataverse. */
export interface SampleDataverse {
  /** Its origin, without a path. */
  url: string;
  /** The rows behind the service. Tests change them and compare a mirror with them. */
  store: Store;
  faults: Faults;
  /** Changes the schema while the server runs. */
  schema: SchemaEditor;
  /** Contents of file columns. */
  files: FileRoutes;
  tokens: TokenService;
  stats: SampleDataverseStats;
  /** The certificate to trust (PEM), with `tls`. */
  certificate?: string;
  stop(): Promise<void>;
}

/** Above the service's own limit for URLs, so that a longer one gets the service's error and not that of Node. */
const maxHeaderSize = 131_072;

/** Starts a server on the loopback address that answers as the Dataverse Web API v9.2 does. */
export async function startSampleDataverse(options: SampleDataverseOptions = {}): Promise<SampleDataverse> {
  const dataverse = openDataverse(options);
  const exchange = new Exchange(dataverse, options.tls ? 'https' : 'http');
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    if (options.rejects?.(request)) response.writeHead(403).end();
    else exchange.serve(request, response).catch((error: unknown) => response.destroy(error as Error));
  };
  const pair = options.tls ? makeCertificate() : undefined;
  const server =
    pair === undefined
      ? createServer({ maxHeaderSize }, listener)
      : createSecureServer({ maxHeaderSize, key: pair.key, cert: pair.certificate }, listener);
  server.keepAliveTimeout = 60_000;
  await listen(server, options.port ?? 0);
  const { port } = server.address() as AddressInfo;
  const url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  if (options.prewarm) {
    await prewarm(dataverse, url, typeof options.prewarm === 'string' ? options.prewarm : undefined);
  }
  return {
    url,
    store: dataverse.store,
    faults: exchange.faults,
    schema: dataverse.schema,
    files: dataverse.files,
    tokens: exchange.tokens,
    stats: dataverse.stats,
    certificate: pair?.certificate,
    stop: () => close(server),
  };
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
