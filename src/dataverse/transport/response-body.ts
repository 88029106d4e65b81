import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import type { HttpHeaders } from '@azure/core-rest-pipeline';

/** The largest body that is taken, in bytes after decompression. A page of 5,000 rows is some 30 MB. */
const maxBodyBytes = 1024 ** 3;

/** Why a body could not be read; the transport makes the error that names the request. */
export class BodyFault extends Error {}

/**
 * Reads a response body into one Buffer, decompressed.
 * The compressed bytes are gathered first and inflated in one go off the main thread: a cut stream then
 * always surfaces as an error, and the page is allocated once.
 */
export async function readBody(
  stream: NodeJS.ReadableStream | undefined,
  headers: HttpHeaders,
): Promise<{ body: Buffer; wireBytes: number }> {
  const wire = stream === undefined ? Buffer.alloc(0) : await collect(stream, headers);
  return { body: await decompress(wire, headers.get('content-encoding')), wireBytes: wire.length };
}

async function collect(stream: NodeJS.ReadableStream, headers: HttpHeaders): Promise<Buffer> {
  const announced = Number(headers.get('content-length') ?? Number.NaN);
  if (announced > maxBodyBytes) throw new BodyFault(`it is ${announced} bytes long, more than is taken`);
  const chunks: Buffer[] = [];
  // One allocation where the length is known, within reason: a header is only a claim.
  const whole = announced > 0 && announced <= 2 ** 28 ? Buffer.allocUnsafeSlow(announced) : undefined;
  let length = 0;
  for await (const part of stream) {
    const chunk = part as Buffer;
    if (length + chunk.length > maxBodyBytes) throw new BodyFault('it is longer than is taken');
    if (whole !== undefined && length + chunk.length <= whole.length) chunk.copy(whole, length);
    else chunks.push(chunk);
    length += chunk.length;
  }
  if (whole === undefined) return Buffer.concat(chunks, length);
  if (length !== announced) throw new BodyFault(`${length} of ${announced} bytes came`);
  return whole;
}

const inflaters = {
  gzip: promisify<Buffer, object, Buffer>(gunzip),
  deflate: promisify<Buffer, object, Buffer>(inflate),
  br: promisify<Buffer, object, Buffer>(brotliDecompress),
};

async function decompress(wire: Buffer, encoding: string | undefined): Promise<Buffer> {
  const name = encoding?.trim().toLowerCase();
  if (!name || name === 'identity' || wire.length === 0) return wire;
  const inflater = inflaters[name as keyof typeof inflaters];
  if (inflater === undefined) throw new BodyFault('its compression is unknown');
  let chunkSize = 2 ** 18;
  if (name === 'gzip') {
    // A gzip stream ends with its size (RFC 1952), and deflate gains at most 1032:1. Given the size,
    // zlib fills one buffer instead of joining many.
    const claimed = wire.length >= 18 ? wire.readUInt32LE(wire.length - 4) : 0;
    chunkSize = Math.max(2 ** 14, Math.min(claimed + 1, wire.length * 1032, 2 ** 28));
  }
  try {
    return await inflater(wire, { chunkSize, maxOutputLength: maxBodyBytes });
  } catch (error) {
    throw new BodyFault(`its ${name} compression is broken (${(error as NodeJS.ErrnoException).code})`);
  }
}
