/** SQLite's integers of variable length (sqlite.org: Database File Format, "A variable-length integer"). */

/** The bytes of a value up to 2^31. */
export function varintLength(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}

/** Writes a value up to 2^31 at `target[at…]` and returns the end. */
export function putVarint(target: Uint8Array, at: number, value: number): number {
  const end = at + varintLength(value);
  let rest = value;
  for (let i = end - 1; i >= at; i--) {
    target[i] = i === end - 1 ? rest & 0x7f : (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  return end;
}

/** The value at `bytes[at…]`, exact up to 2^53, and where it ends. */
export function readVarint(bytes: Uint8Array, at: number): { value: number; end: number } {
  let value = 0;
  for (let n = 0; n < 8; n += 1) {
    const byte = bytes[at + n] ?? 0;
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return { value, end: at + n + 1 };
  }
  return { value: value * 256 + (bytes[at + 8] ?? 0), end: at + 9 };
}
