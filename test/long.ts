/**
 * Whether this is the long form that runs at night: `npm run test:long`. It lives more and longer histories, with
 * other seeds each day, and meets every fault and every crash at every place.
 */
export const isLong = process.env['MODE'] === 'long';

/** Some of a list, evenly spread; all of it in the long form. */
export function sampleOf<T>(all: readonly T[], count: number): T[] {
  if (isLong || all.length <= count) return [...all];
  const step = all.length / count;
  return Array.from({ length: count }, (_, n) => all[Math.floor((n + 0.5) * step)]!);
}
