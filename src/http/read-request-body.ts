import type { HttpRequest } from '@azure/functions';
import { Problem } from './problem.ts';

/**
 * Reads a JSON body.
 * @param hint what the caller can do about a body that is too large
 * @throws Problem 415 for another media type, 413 above `maxBytes`
 */
export async function readRequestBody(
  request: HttpRequest,
  maxBytes: number,
  hint: string,
): Promise<Uint8Array> {
  checkMediaType(request);
  const tooLarge = () => new Problem(413, `The body has more than ${maxBytes} bytes.`, { hint });
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  // The header can be absent or wrong, so the bytes are counted too.
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** JSON is UTF-8 (RFC 8259, section 8.1), so any other charset is another media type. */
function checkMediaType(request: HttpRequest): void {
  const [type = '', ...parameters] = (request.headers.get('content-type') ?? '').split(';');
  const coding = (request.headers.get('content-encoding') ?? 'identity').trim().toLowerCase();
  if (coding !== 'identity' && coding !== '') {
    const headers = { 'accept-encoding': 'identity' };
    throw new Problem(
      415,
      `Content-Encoding ${coding} is not supported.`,
      { hint: 'Send the body uncompressed.' },
      headers,
    );
  }
  const isJson = /^application\/(?:json|[\w.!#$&^-]+\+json)$/i.test(type.trim());
  const charset = parameters.map((p) => /^\s*charset\s*=\s*"?([^"\s]+)"?\s*$/i.exec(p)?.[1]).find(Boolean);
  if (isJson && (charset === undefined || /^utf-?8$/i.test(charset))) return;
  const headers = { 'accept-post': 'application/json' };
  throw new Problem(
    415,
    'The body is not JSON in UTF-8.',
    { hint: 'Send application/json in UTF-8.' },
    headers,
  );
}
