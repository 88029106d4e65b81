import type { CampaignMetrics } from '../contract/campaign-metrics-fields.ts';

/** Where a line of the journal begins. Positions have the order in which the lines arrived. */
export interface Position {
  /** The number of the journal blob, from 1. */
  generation: number;
  /** The line's first byte in the blob. */
  offset: number;
}

/** One line of the journal: an accepted record that must be written to Dataverse. */
export interface JournalEntry {
  /** The id of its row. */
  id: string;
  /** When the record was accepted, UTC. */
  acceptedAt: string;
  record: CampaignMetrics;
  /**
   * Set on a replayed record: the ticket of its poison record. The entry counts only while that poison record
   * exists, so that a replay never overwrites a newer value.
   */
  replayOf?: string;
}

export interface PlacedEntry extends JournalEntry {
  position: Position;
  /** The id in the journal, if an earlier version of this app gave the row another one. */
  earlierId?: string;
}

/** A position as text, for the address of a record's status: `1-2048`. */
export function ticketOf({ generation, offset }: Position): string {
  return `${generation}-${offset}`;
}

export function parseTicket(ticket: string): Position | undefined {
  const found = /^([1-9]\d{0,8})-(\d{1,10})$/.exec(ticket);
  return found === null ? undefined : { generation: Number(found[1]), offset: Number(found[2]) };
}

export function isBefore(a: Position, b: Position): boolean {
  return a.generation < b.generation || (a.generation === b.generation && a.offset < b.offset);
}
