import { randomUUID } from 'node:crypto';
import { createHttpHeaders } from '@azure/core-rest-pipeline';
import { ConfigurationError } from '../../errors.ts';
import { errorFromResponse } from '../errors/error-response.ts';
import { mergeHeaders } from '../prefer.ts';
import type { Call } from './call.ts';
import { encodePart, MultipartFormatError, parseMultipart } from './multipart.ts';
import { type Reply, unreadable } from './reply.ts';

/** The longest URL that Dataverse accepts; in a batch it accepts twice as much (learn.microsoft.com: Query data). */
const maxUrlLength = 32_768;
const maxBatchUrlLength = 65_536;

/** Whether a read has to be sent in a batch, because its URL is too long for a request of its own. */
export function needsBatch(call: Call, base: string): boolean {
  const { url, method = 'GET' } = call;
  return method === 'GET' && url.length > maxUrlLength - base.length && call.isFile !== true;
}

/** The same read as the only request of a batch. */
export function asBatch(call: Call, base: string): Call {
  const boundary = `batch_${randomUUID()}`;
  const url = /^https?:\/\//i.test(call.url) ? call.url : base + call.url;
  if (url.length > maxBatchUrlLength) {
    throw new ConfigurationError(
      `Cannot ${call.operation}: its URL has ${url.length} characters, and Dataverse accepts ${maxBatchUrlLength}`,
      { operation: call.operation, hint: 'Ask for fewer values or columns, in several requests.' },
    );
  }
  const headers = { Accept: 'application/json', ...mergeHeaders(call.requestHeaders, call.headers) };
  const mime = { 'Content-Type': 'application/http', 'Content-Transfer-Encoding': 'binary' };
  const part = encodePart(mime, `GET ${url} HTTP/1.1`, headers, '');
  return {
    ...call,
    method: 'POST',
    url: '$batch',
    headers: { 'Content-Type': `multipart/mixed; boundary="${boundary}"` },
    body: Buffer.from(`--${boundary}\r\n${part}--${boundary}--\r\n`),
    idempotent: true,
    // The batch has the status of its request.
    accepts: (status, headers) =>
      status !== 429 && /^multipart\/mixed/i.test(headers.get('content-type') ?? ''),
  };
}

/** The response to the read in the response to the batch. @throws the error of the read */
export function fromBatch(reply: Reply): Reply {
  const names = { ...reply.names, method: 'GET' };
  try {
    const [part] = parseMultipart(reply.body, reply.headers.get('content-type'));
    if (part === undefined) throw new MultipartFormatError('it has no part');
    const headers = createHttpHeaders(part.headers);
    if (part.status < 200 || part.status > 299)
      throw errorFromResponse(names, part.status, headers, part.body);
    return { ...reply, names, status: part.status, headers, body: part.body };
  } catch (error) {
    if (error instanceof MultipartFormatError) throw unreadable({ ...reply, names }, error.message);
    throw error;
  }
}
