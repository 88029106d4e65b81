import { randomUUID } from 'node:crypto';
import { createHttpHeaders } from '@azure/core-rest-pipeline';
import { ConfigurationError } from '../../errors.ts';
import { errorFromResponse } from '../errors/error-response.ts';
import {
  type Call,
  type CallOptions,
  type Reply,
  type Transport,
  unreadable,
} from '../transport/transport.ts';
import { toJson } from './exact-number.ts';
import { encodePart, MultipartFault, type MultipartPart, parseMultipart } from './multipart.ts';

export interface BatchRequest {
  method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** Below `/api/data/v9.2/`; in a change set also `$1` for the result of the request with that content id. */
  path: string;
  headers?: Record<string, string>;
  /** The JSON body's value; numbers may be made by `exactNumber`. */
  body?: unknown;
}

/** Requests that are carried out wholly or not at all. No GET. Content ids are given in order: 1, 2, … */
export interface ChangeSet {
  changeSet: readonly BatchRequest[];
}

export interface BatchAnswer extends Reply {
  /** The typed error where the status is none of success; for a change set each of its requests has it. */
  error?: Error;
}

export interface BatchOptions extends CallOptions {
  /** Carry out the rest after a failure (`Prefer: odata.continue-on-error`). @default false */
  continueOnError?: boolean | undefined;
}

/** One entry per item: one answer for a request, one list for a change set; undefined where it was not carried out. */
export type BatchAnswers = (BatchAnswer | BatchAnswer[] | undefined)[];

/** learn.microsoft.com: "Execute batch operations using the Web API". */
const maxBatchRequests = 1000;

/**
 * Sends many requests in one. The answers stand in the requests' order. After the first failure, without
 * `continueOnError`, the rest is not carried out.
 */
export async function batch(
  transport: Transport,
  items: readonly (BatchRequest | ChangeSet)[],
  options: BatchOptions = {},
): Promise<BatchAnswers> {
  const requests = items.flatMap((item) => ('changeSet' in item ? item.changeSet : [item]));
  if (requests.length === 0) return [];
  if (requests.length > maxBatchRequests) {
    const hint = `Send at most ${maxBatchRequests} at once.`;
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
      ...(options.continueOnError && { Prefer: 'odata.continue-on-error' }),
    },
    body: encodeBatch(items, boundary, transport.base),
    idempotent: requests.every(({ method }) => method !== 'POST'),
    // Without continue-on-error the batch takes over the status of the request that failed.
    accepts: (status, headers) =>
      status !== 429 && /^multipart\/mixed/i.test(headers.get('content-type') ?? ''),
    timeoutSeconds: 300,
  };
  return transport.send(call, (reply) => readAnswers(reply, items));
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
  if (request.body !== undefined) headers['Content-Type'] = 'application/json; type=entry';
  const mime = {
    'Content-Type': 'application/http',
    'Content-Transfer-Encoding': 'binary',
    ...(contentId && { 'Content-ID': String(contentId) }),
  };
  const body = request.body === undefined ? '' : toJson(request.body);
  return encodePart(mime, `${request.method} ${url} HTTP/1.1`, headers, body);
}

function readAnswers(reply: Reply, items: readonly (BatchRequest | ChangeSet)[]): BatchAnswers {
  try {
    const parts = parseMultipart(reply.body, reply.headers.get('content-type'));
    return items.map((item, index) => {
      const part = parts[index];
      if (part === undefined) return undefined;
      const requests = 'changeSet' in item ? item.changeSet : [item];
      const answers = (part.parts ?? [part]).map((inner, place) =>
        toAnswer(reply, inner, index + 1, requests[place]?.method),
      );
      return 'changeSet' in item ? answers : answers[0];
    });
  } catch (error) {
    if (error instanceof MultipartFault) throw unreadable(reply, error.message);
    throw error;
  }
}

function toAnswer(reply: Reply, part: MultipartPart, item: number, method = 'POST'): BatchAnswer {
  const { status, body } = part;
  const headers = createHttpHeaders(part.headers);
  const names = { ...reply.names, operation: `${reply.names.operation}, item ${item}`, method };
  const answer = { ...reply, names, status, headers, body };
  if (status >= 200 && status < 300) return answer;
  return { ...answer, error: errorFromResponse(names, status, headers, body) };
}
