import type { CampaignMetrics } from '../contract/contract.ts';

/** Where a line of the journal stands. Positions are ordered as the lines arrived. */
export interface Position {
  /** Which journal blob, from 1. */
  generation: number;
  /** The line's first byte in it. */
  offset: number;
}

/** One line of the journal: a record that was accepted and is to be written. */
export interface JournalEntry {
  /** The row it is for. */
  id: string;
  /** When it was accepted, UTC. */
  acceptedAt: string;
  record: CampaignMetrics;
  /**
   * Set where a poison record is tried again: the ticket under which it lies there. It counts only as long
   * as it lies there, so a newer value of the row is never overwritten by it.
   */
  replayOf?: string;
}

export interface PlacedEntry extends JournalEntry {
  position: Position;
}

/** A position as callers see it, in the address of a record's status. */
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
