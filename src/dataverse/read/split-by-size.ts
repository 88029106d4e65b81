/**
 * Splits a list into runs, given as `[start, end)`, as long as the limits allow. An item larger than
 * `maxSize` forms a run of its own.
 * @param sizes of the items, in the unit of `maxSize`
 */
export function splitBySize(
  sizes: readonly number[],
  maxSize: number,
  maxItems = Infinity,
): [start: number, end: number][] {
  const runs: [number, number][] = [];
  let start = 0;
  let used = 0;
  for (const [index, size] of sizes.entries()) {
    if (index > start && (index - start >= maxItems || used + size > maxSize)) {
      runs.push([start, index]);
      start = index;
      used = 0;
    }
    used += size;
  }
  if (start < sizes.length) runs.push([start, sizes.length]);
  return runs;
}
