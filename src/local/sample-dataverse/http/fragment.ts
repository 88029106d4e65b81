import { promisify } from 'node:util';
import { constants, crc32, deflateRaw } from 'node:zlib';

const deflate = promisify(deflateRaw);

/**
 * A piece of a response body that is compressed once and used in many bodies. Each piece is deflated up to a
 * byte boundary, so the pieces of a body form one ordinary gzip member.
 */
export class Fragment {
  readonly bytes: Buffer;
  #crc: number | undefined;
  #deflated: Promise<Buffer> | undefined;

  constructor(content: Buffer | string) {
    this.bytes = typeof content === 'string' ? Buffer.from(content) : content;
  }

  get crc(): number {
    this.#crc ??= crc32(this.bytes);
    return this.#crc;
  }

  deflated(): Promise<Buffer> {
    this.#deflated ??= deflate(this.bytes, { level: 1, finishFlush: constants.Z_FULL_FLUSH });
    return this.#deflated;
  }
}

const gzipHeader = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
/** An empty block with the bit that marks the last one. */
const lastBlock = Buffer.from([0x03, 0x00]);

/** The fragments in order as one gzip member. */
export async function gzipped(fragments: readonly Fragment[]): Promise<Buffer[]> {
  const parts = await Promise.all(fragments.map((fragment) => fragment.deflated()));
  let crc = 0;
  let length = 0;
  for (const fragment of fragments) {
    crc = combineCrc32(crc, fragment.crc, fragment.bytes.length);
    length += fragment.bytes.length;
  }
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc >>> 0, 0);
  trailer.writeUInt32LE(length % 2 ** 32, 4);
  return [gzipHeader, ...parts, lastBlock, trailer];
}

/**
 * The CRC-32 of two concatenated byte sequences, from the CRC of each: appending n bytes multiplies the first CRC
 * by x^(8n) modulo the polynomial. Squaring gives x^(8n) in log n steps.
 */
export function combineCrc32(first: number, second: number, secondLength: number): number {
  let power = 0x00800000; // x^8, bits reversed
  let factor = 0x80000000 | 0; // 1
  for (let n = secondLength; n > 0; n = Math.floor(n / 2)) {
    if (n % 2 === 1) factor = multiply(factor, power);
    power = multiply(power, power);
  }
  return (multiply(factor, first) ^ second) >>> 0;
}

/** The product of two polynomials modulo that of CRC-32, all with reversed bits. */
function multiply(a: number, b: number): number {
  let product = 0;
  let addend = b;
  for (let mask = 0x80000000; mask !== 0; mask >>>= 1) {
    if ((a & mask) !== 0) product ^= addend;
    addend = (addend & 1) !== 0 ? (addend >>> 1) ^ 0xedb88320 : addend >>> 1;
  }
  return product;
}
