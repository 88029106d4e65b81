import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from '../faults/faults.ts';
import { gzipped } from './fragment.ts';
import type { ServiceResponse } from './service.ts';

/** Below this a body is not worth compressing. */
const smallest = 1024;

/** Writes a response to the wire, compressed where the caller takes it. Returns the bytes of its body. */
export async function sendResponse(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  response: ServiceResponse,
  fault: Fault | undefined,
): Promise<number> {
  const compress =
    /\bgzip\b/.test(incoming.headers['accept-encoding'] ?? '') &&
    response.body.reduce((sum, fragment) => sum + fragment.bytes.length, 0) > smallest;
  const parts = compress ? await gzipped(response.body) : response.body.map((fragment) => fragment.bytes);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  outgoing.writeHead(response.status, {
    ...response.headers,
    ...(compress ? { 'content-encoding': 'gzip', vary: 'Accept-Encoding' } : {}),
    ...(response.status === 204 || response.status === 304 ? {} : { 'content-length': String(length) }),
  });
  if (fault?.kind === 'reset-mid-body') return resetMidBody(outgoing, Buffer.concat(parts));
  if (fault?.kind === 'slow-body') await trickle(outgoing, Buffer.concat(parts), fault.delayMs ?? 2000);
  else for (const part of parts) outgoing.write(part);
  outgoing.end();
  return length;
}

/** Half of the body, and then the connection is gone. */
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
