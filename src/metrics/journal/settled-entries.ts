import { type Position, ticketOf } from './journal-entry.ts';

/**
 * Which entries of a window of the journal are settled although an entry before them is not: one bit each, from the
 * window's first entry on. So a drain that continues, also in another instance, repeats only what failed.
 *
 * The text begins with the position. Bits of another position, as an earlier version of this app could leave them, say
 * nothing. A window of the journal has about four thousand entries, and metadata of a blob at most 8 KB.
 */
export function settledText(from: Position, settled: readonly boolean[]): string {
  const bytes = Buffer.alloc(Math.ceil(settled.length / 8));
  for (const [index, isSettled] of settled.entries()) {
    if (isSettled) bytes[index >> 3]! |= 1 << (index & 7);
  }
  return settled.includes(true) ? `${ticketOf(from)}:${bytes.toString('base64')}` : '';
}

/**
 * The entries of a window that are not settled.
 * @param from where the window begins
 */
export function openEntries<T>(from: Position, settled: string, window: readonly T[]): readonly T[] {
  const [ticket, bits = ''] = settled.split(':');
  if (ticket !== ticketOf(from)) return window;
  const bytes = Buffer.from(bits, 'base64');
  return window.filter((_, index) => (((bytes[index >> 3] ?? 0) >> (index & 7)) & 1) === 0);
}
