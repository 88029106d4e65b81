import type { Call, CallOptions } from '../../dataverse/transport/call.ts';
import { toJson } from '../../dataverse/write/exact-number.ts';

/** The call of a request that the caller describes. Its path stays below the Web API. */
export function rawCall(
  options: CallOptions,
  method: NonNullable<Call['method']>,
  path: string,
  more: Pick<Call, 'headers' | 'idempotent'> & { body?: unknown },
): Call {
  return {
    ...options,
    operation: `send ${method} to ${path.replace(/[(?].*$/s, '').slice(0, 80)}`,
    method,
    // An absolute address would be taken as it is.
    url: path.replace(/^https?:/i, (scheme) => `./${scheme}`).replace(/^\/+/, ''),
    headers: more.headers,
    body: more.body === undefined ? undefined : toJson(more.body),
    idempotent: more.idempotent ?? method === 'GET',
  };
}
