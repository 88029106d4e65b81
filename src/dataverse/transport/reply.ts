import type { HttpHeaders } from '@azure/core-rest-pipeline';
import { type RequestNames, requestIdOf } from '../errors/error-response.ts';
import { UnreadableBodyError } from '../errors/errors.ts';

/** A response to a `Call`. */
export interface Reply {
  status: number;
  headers: HttpHeaders;
  body: Buffer;
  url: string;
  /** The request's names, for errors about this response. */
  names: RequestNames;
}

/** A parsed row, with `@odata.etag`. Numbers beyond the precision of a double are rounded. */
export type Row = Record<string, unknown>;

/** Parses the JSON object in a response. @throws UnreadableBodyError for any other body */
export function readObject(reply: Reply): Row {
  try {
    const value: unknown = JSON.parse(reply.body.toString().replace(/^\uFEFF/, ''));
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Row;
  } catch {
    // The error below does not quote the content.
  }
  throw unreadable(reply, `its ${reply.body.length} bytes are not a JSON object`);
}

/** Parses the `value` list of a response without pages, such as metadata. @throws UnreadableBodyError if there is none */
export function readList(reply: Reply): Row[] {
  const { value } = readObject(reply);
  if (Array.isArray(value)) return value;
  throw unreadable(reply, 'it has no "value" array');
}

/** The error for a response whose body is unusable. `what` states kind and position, never content. */
export function unreadable({ status, headers, names }: Reply, what: string): UnreadableBodyError {
  return new UnreadableBodyError(`Cannot ${names.operation}: ${what}`, {
    fault: { ...names, status, requestId: requestIdOf(headers), serverMessage: what, transient: true },
    hint: /html/i.test(headers.get('content-type') ?? '')
      ? 'The response is a web page instead of data: check that the URL is a Dataverse environment.'
      : 'The response was damaged in transit: try again later.',
  });
}
