import type { IncomingMessage, ServerResponse } from 'node:http';

/** The names of this machine, with any port: ports may be forwarded, and clients leave out port 80. */
const ownHost = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/i;

/**
 * Whether a request to a server on this machine comes from a web page of another site. A page may send requests to the
 * loopback address: then `Origin` names its site. Or its own host name may resolve to the loopback address (DNS
 * rebinding): then `Host` has that name.
 */
export function isForeign({ headers: { host, origin } }: IncomingMessage): boolean {
  if (host === undefined || !ownHost.test(host) || !URL.canParse(`http://${host}`)) return true;
  if (origin === undefined) return false;
  return ![`http://${host}`, `https://${host}`].includes(origin.toLowerCase());
}

/** Rejects such a request. */
export function sendForeign(response: ServerResponse): void {
  const text =
    'This server answers only requests from this machine: use 127.0.0.1 and its port as the host.\n';
  response
    .writeHead(403, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(text) })
    .end(text);
}
