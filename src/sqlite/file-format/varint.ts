/** SQLite's integers of variable length, up to 2^31 (sqlite.org: Database File Format, "A variable-length integer"). */

export function varintLength(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}

/** Writes a value at `target[at…]` and returns the end. */
export function putVarint(target: Uint8Array, at: number, value: number): number {
  const end = at + varintLength(value);
  let rest = value;
  for (let i = end - 1; i >= at; i--) {
    target[i] = i === end - 1 ? rest & 0x7f : (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  return end;
}
