import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import type { HttpHeaders } from '@azure/core-rest-pipeline';

/** Largest accepted body, in bytes after decompression. A page of 5,000 rows has about 30 MB. */
const maxBodyBytes = 1024 ** 3;

/** Why a body cannot be read. The transport adds the name of the request. */
export class BodyError extends Error {
  /** Whether the connection ended before the body did. */
  readonly isCutShort: boolean;
  constructor(message: string, options: { isCutShort?: boolean } = {}) {
    super(message);
    this.isCutShort = options.isCutShort === true;
  }
}

/**
 * Reads a response body into one decompressed Buffer.
 * It collects the compressed bytes first and inflates them in one step off the main thread: a stream that is
 * cut short always fails, and the page is allocated once.
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
  if (announced > maxBodyBytes) throw new BodyError(`it has ${announced} bytes, more than allowed`);
  const chunks: Buffer[] = [];
  // Allocate once if the length is known, up to 256 MB: the header may be wrong.
  const whole = announced > 0 && announced <= 2 ** 28 ? Buffer.allocUnsafeSlow(announced) : undefined;
  let length = 0;
  for await (const part of stream) {
    const chunk = part as Buffer;
    if (length + chunk.length > maxBodyBytes) throw new BodyError('it is longer than allowed');
    if (whole !== undefined && length + chunk.length <= whole.length) chunk.copy(whole, length);
    else chunks.push(chunk);
    length += chunk.length;
  }
  if (whole === undefined) return Buffer.concat(chunks, length);
  if (length !== announced)
    throw new BodyError(`${length} of ${announced} bytes arrived`, { isCutShort: true });
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
  if (inflater === undefined) throw new BodyError('its compression is not supported');
  let chunkSize = 2 ** 18;
  if (name === 'gzip') {
    // A gzip stream ends with its size (RFC 1952), and deflate compresses at most 1032:1. With the size as
    // chunk size, zlib fills one buffer instead of joining many.
    const claimed = wire.length >= 18 ? wire.readUInt32LE(wire.length - 4) : 0;
    chunkSize = Math.max(2 ** 14, Math.min(claimed + 1, wire.length * 1032, 2 ** 28));
  }
  try {
    return await inflater(wire, { chunkSize, maxOutputLength: maxBodyBytes });
  } catch (error) {
    throw new BodyError(`its ${name} data is corrupt (${(error as NodeJS.ErrnoException).code})`);
  }
}
