/** Where a block of the file begins and ends, in bytes. */
export interface BlockPlace {
  from: number;
  to: number;
}

/** `count` blocks of `size` bytes. */
export interface BlockRange {
  size: number;
  count: number;
}

const mebibyte = 1024 ** 2;

/**
 * Small blocks first, larger ones behind them: a file that grows keeps the blocks that it has, so it is never uploaded
 * again because of its size. A small block costs less at each change; Blob storage accepts 50,000 blocks in a blob
 * (learn.microsoft.com: Put Block List), and this layout has 49,152 at its end, at 84 GiB.
 */
export const defaultLayout: readonly BlockRange[] = [
  { size: mebibyte / 4, count: 16_384 },
  { size: mebibyte, count: 16_384 },
  { size: 4 * mebibyte, count: 16_384 },
];

/** The largest file that a layout has room for, in bytes. */
export function roomOf(layout: readonly BlockRange[]): number {
  return layout.reduce((sum, { size, count }) => sum + size * count, 0);
}

/** The blocks of a file, in order. @throws RangeError if the layout has no room for it */
export function blocksOf(layout: readonly BlockRange[], length: number): BlockPlace[] {
  if (length > roomOf(layout)) throw new RangeError(`A file of ${length} bytes has too many blocks`);
  const places: BlockPlace[] = [];
  let from = 0;
  for (const { size, count } of layout) {
    for (let n = 0; n < count && from < length; n += 1) {
      const to = Math.min(length, from + size);
      places.push({ from, to });
      from = to;
    }
  }
  return places;
}
