import type { Settings } from '../../config/settings.ts';
import type { Table } from '../../schema/table.ts';
import type { TableState } from '../documents/state.ts';
import { windowStart } from '../plan/plan-table.ts';
import {
  type Fetched,
  finalSlices,
  finalStart,
  keysDigest,
  readEverything,
  rowsDigest,
  sweptAll,
} from './collect-round.ts';

/** How long a refused change tracking is left alone. */
const fallbackHours = 24;

/**
 * Whether a read shows by itself, without the database, that nothing changed:
 * an empty delta, or keys and versions with the digest that the last read of the same scope had.
 */
export function bringsNothing(known: TableState | undefined, fetched: Fetched): boolean {
  if (fetched.failure !== undefined) return true;
  if (known === undefined) return false;
  const { read, strategy } = finalStart(fetched);
  if (strategy !== known.strategy) return false;
  if (read.kind === 'delta')
    return fetched.slices.every((slice) => slice.rowsRead === 0 && slice.deleted === 0);
  if (read.kind === 'known') return read.whole === undefined && known.contentDigest === keysDigest(fetched);
  if (read.kind === 'modifiedon') {
    const sameWindow = known.window?.from === read.since && known.window.digest === rowsDigest(fetched);
    return sameWindow && (!sweptAll(fetched) || known.contentDigest === keysDigest(fetched));
  }
  // A baseline of change tracking always brings a new delta link, but no rows where the digest is the same.
  return readEverything(fetched) && known.contentDigest === rowsDigest(fetched);
}

export interface MergeOutcome {
  rows: number;
  /** When the run began to read, and when it merged: ISO 8601, UTC. */
  startedAt: string;
  at: string;
  /** Whether the table now holds what the read showed: nothing was held back and nothing was missed. */
  settled: boolean;
  /** Digests of keys and versions as the database has them, of all rows or of those since a modifiedon. */
  digestOf?: (since?: string) => string | undefined;
  knownIds?: string;
}

/** What is known of an entity after a round was merged: cursors advance only here, with the rows they belong to. */
export function nextState(
  settings: Settings['sync'],
  known: TableState | undefined,
  table: Table,
  fetched: Fetched,
  outcome: MergeOutcome,
): TableState {
  const { read, strategy: readBy } = finalStart(fetched);
  const byIds = fetched.plan.read.kind === 'ids';
  // Rows read by id follow a read of this run, which may have fallen back to another strategy than the planned one.
  const strategy = byIds ? (known?.strategy ?? readBy) : readBy;
  const complete = readEverything(fetched);
  const swept = sweptAll(fetched);
  const watermark = greatest(known?.watermark, ...fetched.slices.map((slice) => slice.maxModifiedOn));
  const state: TableState = {
    table,
    strategy,
    rows: outcome.rows,
    runsSinceSweep: complete || swept ? 0 : (known?.runsSinceSweep ?? 0) + (byIds ? 0 : 1),
    syncedAt: outcome.startedAt,
    ...(watermark === undefined ? {} : { watermark }),
    ...(byIds && known?.fallback !== undefined ? { fallback: known.fallback } : {}),
    ...(byIds ? {} : fallbackState(known, fetched, outcome.at)),
  };
  // A cursor that advanced past deletes that were held back, or rows that were missed, would lose them.
  const deltaLink =
    byIds || (!outcome.settled && read.kind === 'delta')
      ? known?.deltaLink
      : fetched.slices.at(-1)!.deltaLink;
  if (strategy === 'delta' && deltaLink !== undefined && (outcome.settled || read.kind === 'delta'))
    state.deltaLink = deltaLink;
  if (outcome.knownIds !== undefined) state.knownIds = outcome.knownIds;
  if (!outcome.settled) return state;

  const content = contentDigest();
  if (content !== undefined) state.contentDigest = content;
  const window = strategy === 'modifiedon' && watermark !== undefined ? windowAfter(watermark) : undefined;
  if (window !== undefined) state.window = window;
  return state;

  function contentDigest(): string | undefined {
    if (strategy === 'linked' || byIds)
      return outcome.digestOf?.() ?? (read.kind === 'known' ? keysDigest(fetched) : undefined);
    // Dynamic paging may show a row twice: then only the database can tell the digest of the rows once each.
    if (complete) return once('rowsRead') ? rowsDigest(fetched) : outcome.digestOf?.();
    if (swept) return once('keys') ? keysDigest(fetched) : outcome.digestOf?.();
    return strategy === 'modifiedon' ? known?.contentDigest : undefined;
  }

  function once(figure: 'rowsRead' | 'keys'): boolean {
    return finalSlices(fetched).reduce((sum, slice) => sum + slice[figure], 0) === outcome.rows;
  }

  function windowAfter(mark: string): TableState['window'] {
    const from = windowStart(mark, settings.overlapSeconds);
    if (read.kind === 'modifiedon' && read.since === from) return { from, digest: rowsDigest(fetched) };
    const digest = outcome.digestOf?.(from);
    if (digest !== undefined) return { from, digest };
    return known?.window?.from === from ? known.window : undefined;
  }
}

/** Remembers a refused change tracking, and forgets it once tracking works again. */
function fallbackState(
  known: TableState | undefined,
  fetched: Fetched,
  at: string,
): Pick<TableState, 'fallback'> {
  const start = finalStart(fetched);
  if (start.strategy === 'delta') return {};
  if (fetched.plan.strategy === 'delta' && start.reason !== undefined) {
    const until = new Date(Date.parse(at) + fallbackHours * 3_600_000).toISOString();
    return { fallback: { reason: start.reason, until } };
  }
  return known?.fallback === undefined ? {} : { fallback: known.fallback };
}

function greatest(...times: (string | undefined)[]): string | undefined {
  return times
    .filter((time) => time !== undefined)
    .reduce<string | undefined>((max, time) => {
      return max === undefined || Date.parse(time) > Date.parse(max) ? time : max;
    }, undefined);
}
