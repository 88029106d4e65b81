import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { makeCertificate } from '../../src/local/sample-dataverse/http/certificate.ts';

/** What Application Insights receives, as far as the tests look at it. */
export interface Envelope {
  name: string;
  time: string;
  tags: Record<string, string>;
  data: {
    baseType: string;
    baseData: {
      name?: string;
      id?: string;
      success?: boolean;
      type?: string;
      target?: string;
      data?: string;
      resultCode?: string;
      duration?: string;
      metrics?: { name: string; value: number; count?: number; min?: number; max?: number }[];
      properties?: Record<string, string>;
      measurements?: Record<string, number>;
    };
  };
}

/** The token that the identity endpoint issues and the ingestion endpoint demands. */
export const ingestionToken = 'marker-ingestion-token-5c1e0b7a9d';
export const identityClientId = '11111111-2222-3333-4444-555555555555';
const identityHeader = 'marker-identity-header-77aa';

/**
 * Application Insights and a managed identity on this machine: an ingestion endpoint over TLS that accepts requests with
 * the token of the identity only, and the identity endpoint of App Service.
 */
export class IngestionEndpoint {
  readonly envelopes: Envelope[] = [];
  /** The bodies as they were sent, also those that were refused. */
  readonly bodies: string[] = [];
  /** Answers a request instead of 200, if it returns a status. */
  refuses: () => number | undefined = () => undefined;
  isSigned = (authorization: string | undefined): boolean => authorization === `Bearer ${ingestionToken}`;
  /** Requests by the status of their answer. */
  readonly statuses: number[] = [];
  /** The scopes and client ids that tokens were asked for. */
  readonly tokenRequests: string[] = [];
  token = ingestionToken;
  #folder = '';
  #server: TlsServer | undefined;
  #identity: Server | undefined;
  #settings: Record<string, string> = {};

  static async start(): Promise<IngestionEndpoint> {
    const endpoint = new IngestionEndpoint();
    await endpoint.#start();
    return endpoint;
  }

  /** The settings of an app that sends here. The authority is read by Node at the start of the process. */
  get settings(): Record<string, string> {
    return this.#settings;
  }

  async stop(): Promise<void> {
    for (const server of [this.#server, this.#identity]) {
      server?.closeAllConnections();
      server?.close();
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const { key, certificate } = makeCertificate();
    this.#folder = await mkdtemp(join(tmpdir(), 'ingestion-'));
    const authority = join(this.#folder, 'ca.pem');
    await writeFile(authority, certificate);
    this.#server = createServer({ key, cert: certificate }, async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const raw = Buffer.concat(chunks);
      const body = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString();
      this.bodies.push(body);
      const isSigned = this.isSigned(request.headers.authorization);
      const isTrack = request.method === 'POST' && request.url?.startsWith('/v2.1/track') === true;
      const status = this.refuses() ?? (isTrack ? (isSigned ? 200 : 401) : 404);
      this.statuses.push(status);
      const items = status === 200 ? (JSON.parse(body) as Envelope[]) : [];
      this.envelopes.push(...items);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ itemsReceived: items.length, itemsAccepted: items.length, errors: [] }));
    });
    this.#identity = createHttpServer((request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://localhost');
      const isKnown = request.headers['x-identity-header'] === identityHeader;
      this.tokenRequests.push(`${searchParams.get('resource')} ${searchParams.get('client_id')}`);
      response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' });
      const expires = Math.floor(Date.now() / 1000) + 7200;
      response.end(
        JSON.stringify({
          access_token: this.token,
          expires_on: String(expires),
          resource: searchParams.get('resource'),
          token_type: 'Bearer',
          client_id: identityClientId,
        }),
      );
    });
    const port = await listen(this.#server);
    const identityPort = await listen(this.#identity);
    this.#settings = {
      NODE_EXTRA_CA_CERTS: authority,
      APPLICATIONINSIGHTS_CONNECTION_STRING: `InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint=https://localhost:${port}/`,
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: `ClientId=${identityClientId};Authorization=AAD`,
      IDENTITY_ENDPOINT: `http://127.0.0.1:${identityPort}/msi/token`,
      IDENTITY_HEADER: identityHeader,
    };
  }

  /** The data of one kind: `Request`, `RemoteDependency`, `Event`, `Metric`. */
  of(kind: string): Envelope[] {
    return this.envelopes.filter(({ name }) => name === `Microsoft.ApplicationInsights.${kind}`);
  }

  events(name: string): Envelope['data']['baseData'][] {
    return this.of('Event')
      .map(({ data }) => data.baseData)
      .filter((data) => data.name === name);
  }

  /** The points of a metric. */
  metrics(name: string): { value: number; dimensions: Record<string, string> }[] {
    return this.of('Metric').flatMap(({ data: { baseData } }) =>
      (baseData.metrics ?? [])
        .filter((metric) => metric.name === name)
        .map(({ value }) => ({ value, dimensions: baseData.properties ?? {} })),
    );
  }
}

function listen(server: Server | TlsServer): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}
