/** Varints without an object for each one: a check reads millions of them. */

/** Where the varint that was read last ends. */
export let varintEnd = 0;

/**
 * Reads one of SQLite's integers of variable length at `bytes[at…]` (sqlite.org: Database File Format). Bytes behind the
 * end count as 0. Exact up to 2^53; what has nine bytes is larger than that, or negative in SQLite.
 */
export function sqliteVarint(bytes: Uint8Array, at: number): number {
  let byte = bytes[at]!;
  if (byte < 0x80) {
    varintEnd = at + 1;
    return byte;
  }
  let value = byte & 0x7f;
  for (let n = 1; n < 8; n += 1) {
    byte = bytes[at + n] ?? 0;
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      varintEnd = at + n + 1;
      return value;
    }
  }
  varintEnd = at + 9;
  return value * 256 + (bytes[at + 8] ?? 0);
}

/** The same number as SQLite takes a row number: all 64 bits, with a sign. */
export function signedVarint(bytes: Uint8Array, at: number): bigint {
  let value = 0n;
  for (let n = 0; n < 8; n += 1) {
    const byte = bytes[at + n] ?? 0;
    value = value * 128n + BigInt(byte & 0x7f);
    if (byte < 0x80) return value;
  }
  return BigInt.asIntN(64, value * 256n + BigInt(bytes[at + 8] ?? 0));
}

/** Numbers from 0 to 2^53 in few bytes, one after the other. Not SQLite's format: the lowest seven bits come first. */
export class NumberWriter {
  #bytes = new Uint8Array(65_536);
  #length = 0;

  put(value: number): void {
    if (this.#length + 8 > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#bytes.length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 128) | 0x80;
      rest = rest < 2 ** 31 ? rest >>> 7 : Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  /** What was written since the last call. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }
}

export class NumberReader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  next(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  skip(count: number): void {
    for (let n = 0; n < count; n += 1) {
      while ((this.#bytes[this.at++] ?? 0) >= 0x80);
    }
  }
}
