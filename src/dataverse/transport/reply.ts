import type { HttpHeaders } from '@azure/core-rest-pipeline';
import { type RequestNames, requestIdOf } from '../errors/error-response.ts';
import {
  type UnexpectedResponseError,
  type UnreadableBodyError,
  unusableResponse,
} from '../errors/errors.ts';
import { type ExactTexts, parseWithTexts } from '../exact-texts.ts';

/** A response to a `Call`. */
export interface Reply {
  status: number;
  headers: HttpHeaders;
  body: Buffer;
  url: string;
  /**
   * The server's time before it executed the request, in milliseconds since 1970: its `Date` header less the seconds that
   * the attempt took. Undefined without the header.
   */
  requestedAt: number | undefined;
  /** Says that the body is not needed any more: others may be read in its place. */
  release: () => void;
  /** The request's names, for errors about this response. */
  names: RequestNames;
  /** The server may have executed the request for an earlier attempt, whose response was lost. */
  maybeDoneBefore?: boolean;
  /** The numbers that become texts when the body is parsed. */
  exact?: ExactTexts | undefined;
}

/** A parsed row, with `@odata.etag`. Numbers beyond the precision of a double are rounded. */
export type Row = Record<string, unknown>;

/** Parses the JSON object in a response. @throws UnexpectedResponseError for any other body */
export function readObject(reply: Reply): Row {
  try {
    const value: unknown = parseWithTexts(reply.body.toString().replace(/^\uFEFF/, ''), reply.exact);
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Row;
  } catch {
    // The error below does not quote the content.
  }
  throw unreadable(reply, `its ${reply.body.length} bytes are not a JSON object`);
}

/** Parses the `value` list of a response without pages, such as metadata. @throws UnexpectedResponseError if there is none */
export function readList(reply: Reply): Row[] {
  const { value } = readObject(reply);
  if (Array.isArray(value)) return value;
  throw unreadable(reply, 'it has no "value" array');
}

/** The error for a response whose body is unusable. `what` states kind and position, never content. */
export function unreadable(
  { status, headers, names }: Reply,
  what: string,
): UnexpectedResponseError | UnreadableBodyError {
  return unusableResponse(`Cannot ${names.operation}: ${what}`, {
    fault: { ...names, status, requestId: requestIdOf(headers), serverMessage: what },
    hint: isWebPage(headers)
      ? 'The response is a web page instead of data: check that the URL is a Dataverse environment, and that no proxy or sign-in page stands in between.'
      : 'Something between this app and Dataverse changed the response: check proxies and gateways, then try again.',
  });
}

/**
 * Checks that a successful response comes from Dataverse: a proxy, a sign-in page or a maintenance page may also send
 * status 200. Dataverse states the OData version with every response but file contents (learn.microsoft.com: Compose
 * HTTP requests and handle errors).
 * @throws UnexpectedResponseError; for a write UnreadableBodyError
 */
export function checkOrigin(reply: Reply, { isFile }: { isFile: boolean }): void {
  const { headers, status } = reply;
  if (isFile ? !isWebPage(headers) : headers.get('odata-version') !== undefined) return;
  const type = headers.get('content-type')?.split(';')[0]?.slice(0, 60) ?? 'no content type';
  throw unreadable(reply, `the response with status ${status} and ${type} is not from Dataverse`);
}

function isWebPage(headers: HttpHeaders): boolean {
  return /html/i.test(headers.get('content-type') ?? '');
}
