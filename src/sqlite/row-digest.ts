/**
 * A digest of a set of rows, whatever their order: the sum, modulo 2^128, of a 128-bit hash (the first half of SHA-256)
 * of each row's `key|version`. The digests of disjoint sets can be added.
 */

import { hash } from 'node:crypto';

const modulus = 1n << 128n;

/** The digest of no rows. */
export function emptyDigest(): string {
  return '0'.repeat(32);
}

/** The digest of two disjoint sets of rows together. */
export function addDigests(a: string, b: string): string {
  return ((BigInt(`0x${a}`) + BigInt(`0x${b}`)) % modulus).toString(16).padStart(32, '0');
}

/** Adds up many rows without BigInts. */
export class DigestSum {
  // 128 bits in eight places of 16 bits, the last place the lowest.
  readonly #places = new Uint32Array(8);

  /** Adds the row with these bytes of `key|version`. */
  add(keyAndVersion: Uint8Array): void {
    const digest = hash('sha256', keyAndVersion, 'binary');
    let carry = 0;
    for (let i = 7; i >= 0; i--) {
      const sum = this.#places[i]! + ((digest.charCodeAt(2 * i) << 8) | digest.charCodeAt(2 * i + 1)) + carry;
      this.#places[i] = sum & 0xffff;
      carry = sum >>> 16;
    }
  }

  /** The current sum, for `restore`. */
  save(): Uint32Array {
    return this.#places.slice();
  }

  restore(saved: Uint32Array): void {
    this.#places.set(saved);
  }

  toString(): string {
    return Array.from(this.#places, (place) => place.toString(16).padStart(4, '0')).join('');
  }
}
