import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What happens to a request: it passes, its response is lost after the service has executed it, or it never arrives. */
export type Fault = 'none' | 'lose-answer' | 'refuse' | { status: number; code?: string };

/** An HTTP proxy in front of a local service that injects the faults which the test chooses. */
export interface FaultyProxy {
  port: number;
  /** Decides what happens to each request. */
  fault: (request: IncomingMessage) => Fault;
  close(): Promise<void>;
}

/**
 * Starts a proxy for the service on `port`. The `Host` header is forwarded unchanged, so a signature for the
 * proxy's address fails on services that check it; storage services sign only the path.
 */
export async function startFaultyProxy(port: number): Promise<FaultyProxy> {
  const server = createServer((incoming, outgoing) => {
    const fault = proxy.fault(incoming);
    if (fault === 'refuse') return void incoming.socket.destroy();
    if (typeof fault === 'object') {
      incoming.resume();
      incoming.on('end', () =>
        outgoing.writeHead(fault.status, { 'x-ms-error-code': fault.code ?? '' }).end(),
      );
      return;
    }
    const onward = request(
      { port, host: '127.0.0.1', method: incoming.method, path: incoming.url, headers: incoming.headers },
      (answer) => {
        if (fault === 'lose-answer') {
          answer.resume();
          answer.on('end', () => incoming.socket.destroy());
          return;
        }
        outgoing.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(outgoing);
      },
    );
    onward.on('error', () => incoming.socket.destroy());
    incoming.pipe(onward);
  });
  const proxy: FaultyProxy = {
    port: 0,
    fault: () => 'none',
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy.port = (server.address() as AddressInfo).port;
  return proxy;
}
