const numbers = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** 12345 → `12,345` */
export function formatCount(count: number): string {
  return numbers.format(count);
}

/** One decimal from 1 MB on, in units of 1,000. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${formatCount(bytes / 1000)} kB`;
  if (bytes < 1_000_000_000) return `${(bytes / 1_000_000).toFixed(1)} MB`;
  return `${(bytes / 1_000_000_000).toFixed(1)} GB`;
}

export function formatSeconds(seconds: number): string {
  return seconds < 100 ? `${seconds.toFixed(1)} s` : `${formatCount(seconds)} s`;
}

/** `1 table`, `2 tables` */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}
