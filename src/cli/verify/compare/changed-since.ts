import { deltaTokenVersion } from '../../../dataverse/read/change-tracking.ts';
import type { TableState } from '../../../target/state.ts';
import type { Suspect } from './table-rows.ts';

/**
 * What tells whether a row was changed after the last sync read its table. Nothing of it comes from the rows of the mirror,
 * which may be damaged, nor from other tables, which may have been read at another time.
 */
export interface SyncPoint {
  /** A version that the rows had reached by then: the mirror should have every row up to it. */
  version: bigint | undefined;
  /** Whether every greater version is later: it is from the delta token of the table. Reads show only the greatest of rows. */
  isExact: boolean;
  /** When the read began, in milliseconds. */
  at: number;
  /** How much earlier `modifiedon` of a later row can be, in milliseconds. */
  allowance: number;
  /** Whether the rows of the table have `modifiedon`. */
  hasTimes: boolean;
}

/**
 * When a row got the values that it has in Dataverse: before the sync, so that the mirror should have them, `later`, or it
 * cannot be told.
 */
export type ChangeTime = 'before' | 'later' | 'unknown';

/** States of earlier versions have the time of this machine: the most that it may differ. */
const maxSkewMilliseconds = 60_000;
/** The time of Dataverse comes in whole seconds, rounded down. */
const second = 1000;

/** @param overlapSeconds how long a row may stay invisible after its `modifiedon`, as reads by `modifiedon` assume */
export function syncPointOf(state: TableState, overlapSeconds: number): SyncPoint {
  const { reached, syncedAt, strategy, deltaLink, table } = state;
  const token =
    strategy === 'delta' && deltaLink !== undefined ? deltaTokenVersion(deltaLink)?.toString() : undefined;
  const version = token ?? reached?.version;
  return {
    version: version === undefined ? undefined : BigInt(version),
    isExact: token !== undefined,
    at: Date.parse(reached?.at ?? syncedAt),
    allowance: overlapSeconds * second + (reached === undefined ? maxSkewMilliseconds : 0),
    hasTimes: table.modifiedOnColumn !== undefined,
  };
}

/** Tells when a row got the values that it has in Dataverse. A row in the version of the mirror has them since before. */
export function changeTimeOf(row: Suspect, point: SyncPoint, now = Date.now()): ChangeTime {
  if (row.kind === 'different' && row.mirrorVersion !== null && row.mirrorVersion === row.version)
    return 'before';
  const version = /^\d{1,19}$/.test(row.version ?? '') ? BigInt(row.version!) : undefined;
  const isAbove = version !== undefined && point.version !== undefined && version > point.version;
  const isReached = version !== undefined && point.version !== undefined && !isAbove;
  if (point.isExact && version !== undefined) return isAbove ? 'later' : 'before';
  const time = row.modifiedOn === null ? Number.NaN : Date.parse(row.modifiedOn);
  // While the read went on, a row of a page that was read before can have changed, and then another one that it still read.
  if (time > point.at + second && time <= now) return 'later';
  if (isReached) return 'before';
  if (Number.isNaN(time)) return isAbove && !point.hasTimes ? 'later' : 'unknown';
  if (time > point.at - point.allowance) return 'later';
  // A version without a new time: a job of Dataverse wrote the row, or the sync missed it.
  return isAbove ? 'unknown' : 'before';
}
