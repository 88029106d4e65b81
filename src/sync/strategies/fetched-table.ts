import type { Failure } from '../../errors.ts';
import { addDigests, emptyDigest } from '../../sqlite/row-digest.ts';
import type { TableState } from '../../target/state.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { Slice, SliceStart } from '../documents/slice.ts';

/** What a round fetched of one table: its slices to the end, or a failure. */
export interface FetchedTable {
  name: string;
  plan: TablePlan;
  slices: Slice[];
  failure?: Failure;
}

/** What one table's merge found. */
export interface MergeOutcome {
  /** Rows in the table afterwards. */
  rows: number;
  /** When the round was planned, before the read, and when it was merged: ISO 8601, UTC. */
  startedAt: string;
  at: string;
  /** Whether the table now holds all that the read showed: no delete was held back and no row is missing. */
  isCurrent: boolean;
  /** Whether deletes were held back. */
  isHeldBack: boolean;
  /** Whether the run is of some tables alone. */
  isNarrow?: boolean;
  /** What is to be told about it, or about a comparison that failed. */
  failure?: Failure;
  /** Digest of keys and versions in the database: of all rows, or of those modified since. Absent in an idle round. */
  digestOf?: (since?: string) => Promise<string | undefined>;
}

/** How the table's last read began: as planned, or after an error as its strategy chose. */
export function finalStart({ slices }: FetchedTable): SliceStart {
  return slices.at(-1)!.start;
}

/** The slices of the table's last read. Slices before them belong to a read that Dataverse refused. */
export function finalSlices(fetched: FetchedTable): Slice[] {
  const { kind } = finalStart(fetched).read;
  return fetched.slices.filter(({ start }) => start.read.kind === kind);
}

/** Digest of the keys and versions of the rows that the last read returned. */
export function rowsDigest(fetched: FetchedTable): string {
  return finalSlices(fetched).reduce((sum, slice) => addDigests(sum, slice.digest), emptyDigest());
}

/** Digest of the rows that the last read returned, with all their values; undefined if the read computed none. */
export function valuesDigest(fetched: FetchedTable): string | undefined {
  const digests = finalSlices(fetched).map((slice) => slice.valuesDigest);
  return digests.every((digest) => digest !== undefined) ? digests.reduce(addDigests) : undefined;
}

/**
 * Whether a read of all rows returned what the last one did. Keys and versions do not suffice: calculated columns,
 * column security and recreated columns change values without a new version.
 */
export function isSameRead(known: TableState, fetched: FetchedTable): boolean {
  const values = valuesDigest(fetched);
  return values !== undefined && known.valuesDigest === values && known.contentDigest === rowsDigest(fetched);
}

/** The same of the rows of which only the key was read. */
export function keysDigest(fetched: FetchedTable): string {
  return finalSlices(fetched).reduce((sum, slice) => addDigests(sum, slice.keysDigest), emptyDigest());
}

/**
 * The greatest modifiedon of the rows read, but not after the time at which the read began. A row that changed after
 * its page was read is newer than that, so the next run finds it, although rows of later pages are newer still. Rows
 * that are dated in the future count as read now.
 * @param startedAt when the read began, if Dataverse does not state its time
 */
export function watermarkAfter(
  known: TableState | undefined,
  fetched: FetchedTable,
  startedAt: string,
): string | undefined {
  const slices = finalSlices(fetched);
  const seen = greatest([known?.watermark, ...slices.map(({ maxModifiedOn }) => maxModifiedOn)]);
  const began = slices[0]?.readAt ?? startedAt;
  return seen !== undefined && Date.parse(seen) > Date.parse(began) ? began : seen;
}

function greatest(times: (string | undefined)[]): string | undefined {
  return times
    .filter((time) => time !== undefined)
    .sort((a, b) => Date.parse(a) - Date.parse(b))
    .at(-1);
}

/** Digest of all rows of a table, after a read of all of them. */
export async function wholeDigest(
  fetched: FetchedTable,
  outcome: MergeOutcome,
  by: 'rows' | 'keys',
): Promise<string | undefined> {
  const figure = by === 'rows' ? 'rowsRead' : 'keys';
  const read = finalSlices(fetched).reduce((sum, slice) => sum + slice[figure], 0);
  // Dataverse may show a row on two pages. Only the database then has each row once.
  if (read !== outcome.rows) return outcome.digestOf?.();
  return by === 'rows' ? rowsDigest(fetched) : keysDigest(fetched);
}
