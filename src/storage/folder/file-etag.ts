/** Names a state of a file that is only ever replaced: every write makes another file, so no two states have the same one. */
export function etagOf({ ino, size, mtimeNs }: { ino: bigint; size: bigint; mtimeNs: bigint }): string {
  return `"${ino}-${size}-${mtimeNs}"`;
}
