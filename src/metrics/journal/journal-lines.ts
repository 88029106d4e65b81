import { SyncError } from '../../errors.ts';
import { campaignMetricsId } from '../contract/campaign-metrics-id.ts';
import { type JournalEntry, type PlacedEntry, type Position, ticketOf } from './journal-entry.ts';

/** Longer than any line. */
export const maxLineBytes = 16_384;

/** The journal holds what this app did not write. */
export class DamagedLineError extends SyncError {}

/** The entries in all whole lines, and where the rest begins. @throws DamagedLineError */
export function parseLines(bytes: Buffer, from: Position): { entries: PlacedEntry[]; next: Position } {
  const entries: PlacedEntry[] = [];
  let next: Position = { generation: from.generation, offset: from.offset };
  for (const line of bytes.toString().split('\n').slice(0, -1)) {
    try {
      const entry = JSON.parse(line) as JournalEntry;
      // Earlier versions of this app derived other ids from the same key. All values of a row need one id, in order.
      const id = campaignMetricsId(entry.record);
      const earlier = entry.id === id ? {} : { earlierId: entry.id };
      entries.push({ ...entry, ...earlier, id, position: next });
    } catch {
      // The parser's message would quote the record.
      throw new DamagedLineError(`The journal of campaign metrics is damaged at ${ticketOf(next)}.`);
    }
    next = { generation: next.generation, offset: next.offset + Buffer.byteLength(line) + 1 };
  }
  return { entries, next };
}
