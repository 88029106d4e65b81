import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Whether a request to a server on this machine comes from a web page of another site. A page may send requests to the
 * loopback address: then `Origin` names its site. Or its own host name may resolve to the loopback address (DNS
 * rebinding): then `Host` has that name.
 */
export function isForeign({ headers, socket }: IncomingMessage): boolean {
  const { host, origin } = headers;
  const names = ['127.0.0.1', 'localhost', '[::1]'].map((name) => `${name}:${socket.localPort}`);
  if (host === undefined || !names.includes(host.toLowerCase())) return true;
  return (
    origin !== undefined &&
    !names.some((name) => [`http://${name}`, `https://${name}`].includes(origin.toLowerCase()))
  );
}

/** Rejects such a request. */
export function sendForeign(response: ServerResponse): void {
  const text =
    'This server answers only requests from this machine: use 127.0.0.1 and its port as the host.\n';
  response
    .writeHead(403, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(text) })
    .end(text);
}
