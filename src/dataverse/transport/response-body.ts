import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { HttpHeaders } from '@azure/core-rest-pipeline';
import type { BudgetHold } from './byte-budget.ts';

/** Why a body cannot be read. The transport adds the name of the request. */
export class BodyError extends Error {
  /** Whether the connection ended before the body did. */
  readonly isCutShort: boolean;
  /** Whether it has more bytes than allowed. */
  readonly isTooLarge: boolean;
  constructor(message: string, options: { isCutShort?: boolean; isTooLarge?: boolean } = {}) {
    super(message);
    this.isCutShort = options.isCutShort === true;
    this.isTooLarge = options.isTooLarge === true;
  }
}

export interface BodyLimits {
  /** Largest accepted body, in bytes, compressed and decompressed. */
  maxBytes: number;
  /** Admits the bytes before they are held in memory. */
  hold: BudgetHold;
  signal: AbortSignal;
}

/** A body of unknown length asks the budget for this many bytes at a time: first few, as most bodies are short. */
const firstStep = 65_536;
const step = 1024 * 1024;

/**
 * Reads a response body into one decompressed Buffer.
 * It collects the compressed bytes first and inflates them in one step off the main thread: a stream that is
 * cut short always fails, and the page is allocated once.
 * @throws BodyError if the body is too large, cut short, damaged, or compressed otherwise than was requested
 */
export async function readBody(
  stream: NodeJS.ReadableStream | undefined,
  headers: HttpHeaders,
  limits: BodyLimits,
): Promise<{ body: Buffer; wireBytes: number }> {
  let wire: Buffer;
  try {
    wire = stream === undefined ? Buffer.alloc(0) : await collect(stream, headers, limits);
  } catch (error) {
    // Otherwise the connection would stay open, waiting for somebody to read the rest.
    (stream as Partial<Readable> | undefined)?.destroy?.();
    throw error;
  }
  return { body: await decompress(wire, headers.get('content-encoding'), limits), wireBytes: wire.length };
}

function tooLarge(maxBytes: number): BodyError {
  const text = `it is larger than the limit of ${Math.floor(maxBytes / 1024 ** 2)} MiB`;
  return new BodyError(text, { isTooLarge: true });
}

async function collect(
  stream: NodeJS.ReadableStream,
  headers: HttpHeaders,
  { maxBytes, hold, signal }: BodyLimits,
): Promise<Buffer> {
  const announced = Number(headers.get('content-length') ?? Number.NaN);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  const isKnown = announced > 0;
  // The header may be wrong: nothing is allocated that has not been admitted.
  if (isKnown) await hold.reserve(announced, signal);
  const whole = isKnown ? Buffer.allocUnsafeSlow(announced) : undefined;
  const chunks: Buffer[] = [];
  let length = 0;
  let admitted = isKnown ? announced : 0;
  for await (const part of stream) {
    const chunk = part as Buffer;
    if (length + chunk.length > maxBytes) throw tooLarge(maxBytes);
    if (length + chunk.length > admitted) {
      const more = Math.max(admitted === 0 ? firstStep : step, chunk.length);
      await hold.reserve(more, signal);
      admitted += more;
    }
    if (whole !== undefined && length + chunk.length <= whole.length) chunk.copy(whole, length);
    else chunks.push(chunk);
    length += chunk.length;
  }
  if (whole === undefined) return Buffer.concat(chunks, length);
  if (length !== announced)
    throw new BodyError(`${length} of ${announced} bytes arrived`, { isCutShort: true });
  return whole;
}

const inflate = promisify<Buffer, object, Buffer>(gunzip);

async function decompress(
  wire: Buffer,
  encoding: string | undefined,
  { maxBytes, hold, signal }: BodyLimits,
): Promise<Buffer> {
  const name = encoding?.trim().toLowerCase();
  if (!name || name === 'identity' || wire.length === 0) return wire;
  if (name !== 'gzip') throw new BodyError('it is compressed in a way that was not requested');
  // A gzip stream ends with its size (RFC 1952), and deflate compresses at most 1032:1. With the size as
  // chunk size, zlib fills one buffer instead of joining many.
  const claimed = wire.length >= 18 ? wire.readUInt32LE(wire.length - 4) : 0;
  const expected = Math.min(claimed, wire.length * 1032);
  if (expected > maxBytes) throw tooLarge(maxBytes);
  await hold.reserve(expected, signal);
  const inflateUpTo = (maxOutputLength: number): Promise<Buffer> =>
    inflate(wire, {
      chunkSize: Math.max(2 ** 14, expected + 1),
      maxOutputLength: Math.max(1, maxOutputLength),
    });
  try {
    return await inflateUpTo(expected);
  } catch (error) {
    if (!isTooLong(error)) throw corrupt(error);
  }
  // The size at the end is that of the last of several streams, or a lie.
  await hold.reserve(maxBytes - expected, signal);
  try {
    return await inflateUpTo(maxBytes);
  } catch (error) {
    throw isTooLong(error) ? tooLarge(maxBytes) : corrupt(error);
  }
}

function isTooLong(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
}

function corrupt(error: unknown): BodyError {
  return new BodyError(`its gzip data is corrupt (${(error as NodeJS.ErrnoException).code})`);
}
