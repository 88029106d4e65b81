/**
 * Cuts a list into runs as long as they may be, given as `[start, end)`. An item that is larger than the
 * room stands alone.
 * @param sizes of the items, in whatever `room` counts
 * @param most items in a run
 */
export function cutToSize(sizes: readonly number[], room: number, most = Infinity): [number, number][] {
  const parts: [number, number][] = [];
  let start = 0;
  let used = 0;
  for (const [index, size] of sizes.entries()) {
    if (index > start && (index - start >= most || used + size > room)) {
      parts.push([start, index]);
      start = index;
      used = 0;
    }
    used += size;
  }
  if (start < sizes.length) parts.push([start, sizes.length]);
  return parts;
}
