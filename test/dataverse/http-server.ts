import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createDataverseClient, type DataverseClientOptions } from '../../src/dataverse/client.ts';
import { createCredential } from '../../src/dataverse/credential.ts';
import type { Log } from '../../src/dataverse/transport/transport.ts';

export interface TestServer extends AsyncDisposable {
  url: string;
  requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string; at: number }[];
}

export type Handler = (
  request: IncomingMessage & { body: string },
  response: ServerResponse,
  number: number,
) => unknown;

/** Starts an HTTP server on a free port that records its requests. */
export async function startServer(handler: Handler): Promise<TestServer> {
  const requests: TestServer['requests'] = [];
  const server = createServer({ maxHeaderSize: 65_536 }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    requests.push({
      method: request.method!,
      url: request.url!,
      headers: request.headers,
      body,
      at: performance.now(),
    });
    // As Dataverse does with every response; a handler can remove it.
    response.setHeader('OData-Version', '4.0');
    await handler(Object.assign(request, { body }), response, requests.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export const testToken = 'test-token-that-no-log-may-hold';

export function clientFor(server: { url: string }, options: Partial<DataverseClientOptions> = {}) {
  return createDataverseClient({
    url: server.url,
    credential: createCredential({ accessToken: testToken }),
    retry: { baseDelaySeconds: 0.002 },
    ...options,
  });
}

export function sendJson(response: ServerResponse, value: unknown, status = 200, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json; odata.metadata=minimal', ...headers });
  response.end(typeof value === 'string' ? value : JSON.stringify(value));
}

export function sendError(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  headers = {},
): void {
  sendJson(response, { error: { code, message } }, status, headers);
}

/** A log that collects everything as text. */
export function captureLog(): { log: Log; text: () => string } {
  const lines: string[] = [];
  return { log: (...entry) => lines.push(JSON.stringify(entry)), text: () => lines.join('\n') };
}
