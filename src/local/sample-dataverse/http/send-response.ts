import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from '../faults/faults.ts';
import { gzipped } from './fragment.ts';
import type { ServiceResponse } from './service-request.ts';

/** Smaller bodies are not compressed. */
const minCompressedBytes = 1024;

/** Sends a response, compressed if the client accepts it. Returns the number of bytes of the body. */
export async function sendResponse(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  response: ServiceResponse,
  fault: Fault | undefined,
): Promise<number> {
  const compress =
    /\bgzip\b/.test(incoming.headers['accept-encoding'] ?? '') &&
    response.body.reduce((sum, fragment) => sum + fragment.bytes.length, 0) > minCompressedBytes;
  const parts = compress ? await gzipped(response.body) : response.body.map((fragment) => fragment.bytes);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const headers = { ...response.headers };
  if (compress) Object.assign(headers, { 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
  if (response.status !== 204 && response.status !== 304) headers['content-length'] = String(length);
  outgoing.writeHead(response.status, headers);
  if (fault?.kind === 'reset-mid-body') return resetMidBody(outgoing, Buffer.concat(parts));
  if (fault?.kind === 'slow-body') await trickle(outgoing, Buffer.concat(parts), fault.delayMs ?? 2000);
  else for (const part of parts) outgoing.write(part);
  outgoing.end();
  return length;
}

/** Sends half of the body, then resets the connection. */
function resetMidBody(outgoing: ServerResponse, body: Buffer): number {
  const half = body.subarray(0, Math.ceil(body.length / 2));
  outgoing.write(half, () => outgoing.socket?.resetAndDestroy());
  if (half.length === 0) outgoing.socket?.resetAndDestroy();
  return half.length;
}

async function trickle(outgoing: ServerResponse, body: Buffer, milliseconds: number): Promise<void> {
  const steps = 10;
  const size = Math.max(1, Math.ceil(body.length / steps));
  for (let start = 0; start < body.length; start += size) {
    outgoing.write(body.subarray(start, start + size));
    await delay(milliseconds / steps, undefined, { ref: false });
  }
}
