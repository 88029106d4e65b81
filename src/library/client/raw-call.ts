import type { Call, CallOptions } from '../../dataverse/transport/call.ts';
import type { Reply } from '../../dataverse/transport/reply.ts';
import { toJson } from '../../dataverse/write/exact-number.ts';
import { resultOf } from './call-function.ts';
import { DataverseError } from './errors.ts';

/** What the caller makes of the body of a response. */
export type ResponseType = 'json' | 'text' | 'bytes';

/** The call of a request that the caller describes. Its path stays below the Web API. */
export function rawCall(
  options: CallOptions,
  method: NonNullable<Call['method']>,
  path: string,
  more: Pick<Call, 'headers' | 'idempotent'> & { body?: unknown; responseType?: ResponseType | undefined },
): Call {
  const isJson = (more.responseType ?? 'json') === 'json';
  return {
    ...options,
    operation: `send ${method} to ${path.replace(/[(?].*$/s, '').slice(0, 80)}`,
    method,
    // An absolute address would be taken as it is.
    url: path.replace(/^https?:/i, (scheme) => `./${scheme}`).replace(/^\/+/, ''),
    headers: isJson ? more.headers : { Accept: '*/*', ...more.headers },
    isFile: !isJson,
    body: more.body === undefined ? undefined : toJson(more.body),
    idempotent: more.idempotent ?? method === 'GET',
  };
}

/**
 * The body of the response. It is not read while the request can be retried: a body of another type stays one.
 * @throws DataverseError if JSON is expected and the response is of another type
 */
export function rawResult(reply: Reply, responseType: ResponseType = 'json'): unknown {
  if (responseType === 'bytes') return new Uint8Array(reply.body);
  if (responseType === 'text') return reply.body.toString();
  const type = reply.headers.get('content-type') ?? '';
  if (reply.body.length === 0 || /json/i.test(type)) return resultOf(reply);
  throw new DataverseError(
    `Cannot ${reply.names.operation}: the response is not JSON but ${type.slice(0, 60)}`,
    {
      hint: "Ask for it with responseType: 'text' or 'bytes'.",
    },
  );
}
