import { randomUUID } from 'node:crypto';
import { createHttpHeaders } from '@azure/core-rest-pipeline';
import { ConfigurationError } from '../../errors.ts';
import { errorFromResponse } from '../errors/error-response.ts';
import type { ExactTexts } from '../exact-texts.ts';
import type { Call, CallOptions } from '../transport/call.ts';
import {
  encodePart,
  MultipartFormatError,
  type MultipartPart,
  parseMultipart,
} from '../transport/multipart.ts';
import { type Reply, unreadable } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { toJson } from './exact-number.ts';

export interface BatchRequest {
  method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** Path below `/api/data/v9.2/`. In a change set, `$1` refers to the result of the request with content id 1. */
  path: string;
  headers?: Record<string, string>;
  /** The value of the JSON body. */
  body?: unknown;
  /** The body as text, instead of `body`. */
  json?: string | undefined;
  /** The numbers of the response that become texts. */
  exact?: ExactTexts | undefined;
}

/** Requests that succeed or fail together. GET is not allowed. Content ids are assigned in order: 1, 2, … */
export interface ChangeSet {
  changeSet: readonly BatchRequest[];
}

export interface BatchReply extends Reply {
  /** The typed error if the status is not a success. In a failed change set, each request has it. */
  error?: Error;
}

export interface BatchOptions extends CallOptions {
  /** Execute the remaining requests after a failure (`Prefer: odata.continue-on-error`). @default false */
  continueOnError?: boolean | undefined;
}

/** One entry per item: a reply for a request, a list for a change set; undefined if it was not executed. */
export type BatchReplies = (BatchReply | BatchReply[] | undefined)[];

/** learn.microsoft.com: "Execute batch operations using the Web API". */
const maxBatchRequests = 1000;

/**
 * Sends up to 1,000 requests in one. The replies have the order of the items. The batch ends at the first
 * failure, unless `continueOnError` is set.
 * @example
 * const [account, changes] = await client.batch([
 *   { method: 'GET', path: `accounts(${id})?$select=name` },
 *   { changeSet: [{ method: 'POST', path: 'contacts', body: { lastname: 'Lovelace' } }] },
 * ]);
 */
export async function batch(
  transport: Transport,
  items: readonly (BatchRequest | ChangeSet)[],
  options: BatchOptions = {},
): Promise<BatchReplies> {
  const requests = items.flatMap((item) => ('changeSet' in item ? item.changeSet : [item]));
  if (requests.length === 0) return [];
  if (requests.length > maxBatchRequests) {
    const hint = `Send at most ${maxBatchRequests} requests per batch.`;
    const text = `A batch of ${requests.length} requests is too large`;
    throw new ConfigurationError(text, { operation: 'send a batch', hint });
  }
  const boundary = `batch_${randomUUID()}`;
  const call: Call = {
    ...options,
    operation: `send a batch of ${requests.length} requests`,
    method: 'POST',
    url: '$batch',
    headers: {
      'Content-Type': `multipart/mixed; boundary="${boundary}"`,
      Prefer: options.continueOnError ? 'odata.continue-on-error' : undefined,
    },
    body: encodeBatch(items, boundary, transport.base),
    idempotent: requests.every(isRepeatable) && areDeletesRepeatable(items, options),
    // Without continue-on-error, the batch has the status of the request that failed.
    accepts: (status, headers) =>
      status !== 429 && /^multipart\/mixed/i.test(headers.get('content-type') ?? ''),
    timeoutSeconds: 300,
  };
  return transport.send(call, (reply) => readReplies(reply, items));
}

/** Whether the server may execute a request twice: it creates nothing, and has no condition that its own effect breaks. */
function isRepeatable({ method, headers = {} }: BatchRequest): boolean {
  const conditions = Object.entries(headers).filter(([name]) => /^if-(none-)?match$/i.test(name));
  return method !== 'POST' && conditions.every(([name, value]) => /^if-match$/i.test(name) && value === '*');
}

/**
 * Whether a repeated delete harms nothing else. It finds no row then, and that failure ends a batch without
 * continue-on-error, rolls its change set back, and reaches other requests for the same row.
 */
function areDeletesRepeatable(
  items: readonly (BatchRequest | ChangeSet)[],
  { continueOnError }: BatchOptions,
): boolean {
  const requests = items.flatMap((item) => ('changeSet' in item ? item.changeSet : [item]));
  const deletes = requests.filter(isDelete);
  if (deletes.length === 0 || requests.length === 1) return true;
  const isInChangeSet = items.some((item) => 'changeSet' in item && item.changeSet.some(isDelete));
  if (isInChangeSet || !continueOnError) return false;
  const deleted = new Set(deletes.map(({ path }) => path.toLowerCase()));
  return requests.every((request) => isDelete(request) || !deleted.has(request.path.toLowerCase()));
}

function isDelete({ method }: BatchRequest): boolean {
  return method === 'DELETE';
}

function encodeBatch(items: readonly (BatchRequest | ChangeSet)[], boundary: string, base: string): Buffer {
  const parts: string[] = [];
  for (const item of items) {
    parts.push(`--${boundary}\r\n`);
    if ('changeSet' in item) {
      const inner = `changeset_${randomUUID()}`;
      parts.push(`Content-Type: multipart/mixed; boundary="${inner}"\r\n\r\n`);
      for (const [index, request] of item.changeSet.entries()) {
        parts.push(`--${inner}\r\n`, encodeRequest(request, base, index + 1));
      }
      parts.push(`--${inner}--\r\n`);
    } else parts.push(encodeRequest(item, base));
  }
  parts.push(`--${boundary}--\r\n`);
  return Buffer.from(parts.join(''));
}

function encodeRequest(request: BatchRequest, base: string, contentId?: number): string {
  const url = request.path.startsWith('$') ? request.path : base + request.path;
  const headers: Record<string, string> = { Accept: 'application/json', ...request.headers };
  const body = request.json ?? (request.body === undefined ? undefined : toJson(request.body));
  if (body !== undefined) headers['Content-Type'] = 'application/json; type=entry';
  const mime = {
    'Content-Type': 'application/http',
    'Content-Transfer-Encoding': 'binary',
    'Content-ID': contentId?.toString(),
  };
  return encodePart(mime, `${request.method} ${url} HTTP/1.1`, headers, body ?? '');
}

function readReplies(reply: Reply, items: readonly (BatchRequest | ChangeSet)[]): BatchReplies {
  try {
    const parts = parseMultipart(reply.body, reply.headers.get('content-type'));
    return items.map((item, index) => {
      const part = parts[index];
      if (part === undefined) return undefined;
      const requests = 'changeSet' in item ? item.changeSet : [item];
      const replies = (part.parts ?? [part]).map((inner, place) =>
        toReply(reply, inner, index + 1, requests[place]),
      );
      return 'changeSet' in item ? replies : replies[0];
    });
  } catch (error) {
    if (error instanceof MultipartFormatError) throw unreadable(reply, error.message);
    throw error;
  }
}

function toReply(reply: Reply, part: MultipartPart, item: number, request?: BatchRequest): BatchReply {
  const { status, body } = part;
  const { method = 'POST' } = request ?? {};
  const headers = createHttpHeaders(part.headers);
  const names = { ...reply.names, operation: `${reply.names.operation}, item ${item}`, method };
  const own = { ...reply, names, status, headers, body, exact: request?.exact };
  if (status >= 200 && status < 300) return own;
  const error = errorFromResponse(names, status, headers, body);
  if (reply.maybeDoneBefore) error.fault.maybeDoneBefore = true;
  return { ...own, error };
}
