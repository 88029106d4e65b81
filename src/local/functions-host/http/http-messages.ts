import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpCookie, HttpData } from '../core-api.ts';

/** The largest request body that Azure Functions accepts, in bytes. */
const MAX_BODY = 104_857_600;

/** The whole body, or undefined if it is larger than the host accepts. */
export async function readBody(req: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY) chunks.push(chunk);
  }
  return size <= MAX_BODY ? Buffer.concat(chunks) : undefined;
}

/** Each header as one text, without those of the connection. */
export function toHeaders(req: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, values] of Object.entries(req.headersDistinct)) {
    if (name !== 'transfer-encoding' && name !== 'connection') headers[name] = values!.join(', ');
  }
  return headers;
}

/** The values of a repeated name are joined, as in the Azure host. */
export function toQuery(search: URLSearchParams): Record<string, string> {
  const query: Record<string, string> = {};
  for (const name of new Set(search.keys())) query[name] = search.getAll(name).join(',');
  return query;
}

/** The caller's W3C trace context, if the request has one. */
export function traceParentOf(req: IncomingMessage): string | undefined {
  const header = String(req.headers['traceparent']);
  return /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(header) ? header : undefined;
}

/** Sends a response without a body, as the Azure host does for 401, 404 and 500. */
export function end(res: ServerResponse, status: number): void {
  res.writeHead(status, { 'content-length': 0 }).end();
}

/** Sends the function's response; 204 if it returned nothing. */
export function send(res: ServerResponse, http: HttpData | undefined): void {
  if (http === undefined) {
    end(res, 204);
    return;
  }
  const body = Buffer.from(http.body?.bytes ?? http.body?.string ?? '');
  res.statusCode = Number(http.statusCode ?? 200);
  for (const [name, value] of Object.entries(http.headers ?? {})) res.setHeader(name, value);
  const cookies = (http.cookies ?? []).map(toSetCookie);
  if (cookies.length > 0) res.setHeader('set-cookie', cookies);
  // The length of what GET would answer, if the function says it.
  const saysLength = res.req.method === 'HEAD' && res.hasHeader('content-length');
  if (![204, 304].includes(res.statusCode) && !saysLength) res.setHeader('content-length', body.length);
  res.end(body);
}

function toSetCookie(cookie: HttpCookie): string {
  const parts = [`${cookie.name}=${encodeURIComponent(cookie.value ?? '')}`];
  if (cookie.maxAge?.value !== undefined) parts.push(`Max-Age=${cookie.maxAge.value}`);
  const expires = cookie.expires?.value?.seconds;
  if (expires !== undefined) parts.push(`Expires=${new Date(expires * 1000).toUTCString()}`);
  if (cookie.domain?.value) parts.push(`Domain=${cookie.domain.value}`);
  if (cookie.path?.value) parts.push(`Path=${cookie.path.value}`);
  if (cookie.secure?.value) parts.push('Secure');
  if (cookie.httpOnly?.value) parts.push('HttpOnly');
  if (cookie.sameSite && cookie.sameSite !== 'none') {
    parts.push(`SameSite=${cookie.sameSite === 'explicitNone' ? 'None' : cookie.sameSite}`);
  }
  return parts.join('; ');
}
