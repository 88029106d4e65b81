import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { problem } from './problem.ts';

/** Reads a JSON body, or answers why it is not read: 415 or 413. */
export async function readRequestBody(
  request: HttpRequest,
  maxBytes: number,
): Promise<{ bytes: Uint8Array } | { refusal: HttpResponseInit }> {
  const refusal = wrongMediaType(request);
  if (refusal !== undefined) return { refusal };
  const tooLarge = { refusal: problem(413, `A body has at most ${maxBytes} bytes.`) };
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) return tooLarge;
  const chunks: Uint8Array[] = [];
  let length = 0;
  // The header may be absent or wrong, so the bytes are counted as they come.
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes) return tooLarge;
    chunks.push(chunk);
  }
  return { bytes: Buffer.concat(chunks, length) };
}

/** JSON is UTF-8 (RFC 8259, section 8.1), so any other charset is another media type. */
function wrongMediaType(request: HttpRequest): HttpResponseInit | undefined {
  const [type = '', ...parameters] = (request.headers.get('content-type') ?? '').split(';');
  const coding = (request.headers.get('content-encoding') ?? 'identity').trim().toLowerCase();
  if (coding !== 'identity' && coding !== '') {
    return problem(415, 'Bodies are taken without content coding.', {
      headers: { 'Accept-Encoding': 'identity' },
    });
  }
  const isJson = /^application\/(?:json|[\w.!#$&^-]+\+json)$/i.test(type.trim());
  const charset = parameters.map((p) => /^\s*charset\s*=\s*"?([^"\s]+)"?\s*$/i.exec(p)?.[1]).find(Boolean);
  if (isJson && (charset === undefined || /^utf-?8$/i.test(charset))) return undefined;
  return problem(415, 'Send application/json in UTF-8.', { headers: { 'Accept-Post': 'application/json' } });
}
