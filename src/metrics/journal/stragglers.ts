import { isBefore, type PlacedEntry, type Position, parseTicket, ticketOf } from './journal-entry.ts';
import { settledText } from './settled-entries.ts';

/**
 * Where the drain is. Entries that Dataverse does not answer for are left behind, as stragglers, while it reads on:
 * otherwise one of them would stop all records behind it. The position (`generation`, `offset`) is that of the first
 * entry that is not settled, be it a straggler or not; earlier versions of this app continue there.
 */
export interface ReadState extends Position {
  /** The tickets of the stragglers, oldest first, with commas between them. */
  stragglers: string;
  /** The ticket of the entry behind the last one that was read; empty if there are no stragglers. */
  readTo: string;
  /** Which of the entries from there on are settled already; see settled-entries.ts. */
  settled: string;
}

/** Their tickets have at most 16 characters. Metadata of a blob has at most 8 KB. */
export const maxStragglers = 256;
/** Of one row this many values are kept, so that a row with new values all the time leaves room for others. */
const maxOfRow = 8;

/** Where the entries begin of which no straggler is one. */
export function readFrom({ generation, offset, readTo }: ReadState): Position {
  return parseTicket(readTo) ?? { generation, offset };
}

export function stragglersOf({ stragglers }: Pick<ReadState, 'stragglers'>): Position[] {
  return stragglers.split(',').flatMap((ticket) => parseTicket(ticket) ?? []);
}

/** What a drain has read, and what is not settled of it. */
export interface Read {
  /** The stragglers that are still not settled, oldest first. */
  stragglers: readonly PlacedEntry[];
  /** The entries of the window, all of them and those that are not settled. */
  entries: readonly PlacedEntry[];
  open: readonly PlacedEntry[];
  /** Where the window ends. */
  next: Position;
}

/** The state in which all that was read is settled but `stragglers`, which are not too many. */
export function leaveBehind(stragglers: readonly PlacedEntry[], next: Position): ReadState {
  const first = stragglers[0]?.position ?? next;
  const tickets = stragglers.map(({ position }) => ticketOf(position));
  return {
    ...first,
    stragglers: tickets.join(),
    readTo: tickets.length > 0 ? ticketOf(next) : '',
    settled: '',
  };
}

/** The state in which the drain reads the window again from the first entry that is not settled. */
export function readAgain({ stragglers, entries, open }: Read): ReadState {
  const unsettled = new Set(open);
  const settled = entries.map((entry) => !unsettled.has(entry));
  const first = settled.indexOf(false);
  const { position } = entries[first]!;
  return { ...leaveBehind(stragglers, position), settled: settledText(position, settled.slice(first)) };
}

/**
 * The entries that are kept as stragglers, oldest first: of each row the oldest and the newest. Values in between count
 * only if Dataverse rejects all that are newer.
 */
export function thinOut(entries: readonly PlacedEntry[]): PlacedEntry[] {
  const ofRow = new Map<string, PlacedEntry[]>();
  for (const entry of entries) ofRow.set(entry.id, [...(ofRow.get(entry.id) ?? []), entry]);
  const kept = [...ofRow.values()].flatMap((values) =>
    values.length > maxOfRow ? [values[0]!, ...values.slice(1 - maxOfRow)] : values,
  );
  return kept.sort((a, b) => (isBefore(a.position, b.position) ? -1 : 1));
}
