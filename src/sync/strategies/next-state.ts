import type { Settings } from '../../config/settings.ts';
import { type StrategyName, wholeTableStrategies } from '../../config/strategies.ts';
import type { Table } from '../../schema/table.ts';
import type { TableState } from '../../target/state.ts';
import type { Slice } from '../documents/slice.ts';
import { deltaVersionOf, greaterVersion, knownDeltaVersion } from './delta-version.ts';
import {
  type FetchedTable,
  finalSlices,
  finalStart,
  type MergeOutcome,
  watermarkAfter,
} from './fetched-table.ts';
import { refusedStrategies } from './refusal.ts';
import { readingOf, strategies } from './registry.ts';
import { isOfMovedBack } from './reread-reasons.ts';
import { isRowsById } from './rows-by-id.ts';
import { hasUnversioned } from './verification.ts';

/** How long a strategy or an option is not tried again after Dataverse refused it … */
const fallbackHours = 24;
/** … and after an error that may have been an outage: a full read of a large table in every run is dear. */
const doubtfulHours = 1;

/** Whether what was fetched of a table shows that nothing changed in it since `known`. */
export function broughtNothing(known: TableState | undefined, fetched: FetchedTable): boolean {
  if (fetched.failure !== undefined) return true;
  if (known === undefined) return false;
  const start = finalStart(fetched);
  return start.strategy === known.strategy && readingOf(start).broughtNothing(known, start.read, fetched);
}

/**
 * What is known of a table after a round was merged. Cursors advance only here, together with the rows that they
 * belong to.
 */
export async function nextState(
  settings: Settings['sync'],
  known: TableState | undefined,
  table: Table,
  fetched: FetchedTable,
  outcome: MergeOutcome,
): Promise<TableState> {
  const start = finalStart(fetched);
  const byId = isRowsById(start.read);
  // Rows read by id follow an earlier read of this run, which may have fallen back to another strategy than planned.
  const strategy = (byId ? known?.strategy : undefined) ?? start.strategy;
  const reading = readingOf(start);
  const isComplete = reading.isComplete(start.read);
  const keys = reading.comparedKeys(start.read);
  const comparedAll = isComplete || keys === 'all';
  const isVerified =
    isComplete || reading.comparesValues(start.read) || (keys !== undefined && !hasUnversioned(table));
  // An idle round has no digest of the rows that a later window would hold, so its window stays.
  const stays = byId || outcome.digestOf === undefined;
  const watermark = stays
    ? known?.watermark
    : watermarkAfter(
        // After a read of all rows, an earlier watermark may lie ahead of a source that was restored.
        reading.isComplete(start.read) ? undefined : known,
        fetched,
        outcome.startedAt,
      );
  const read = byId ? undefined : start.read;
  const cursor = await strategies[strategy].cursor({ known, read, fetched, outcome, watermark, settings });
  const isNew = start.uncompared !== undefined || (outcome.isHeldBack && cursor.sweepAgain === 'deletes');
  const isSettled = isComplete || keys !== undefined;
  const { reread, counted } = fetched.plan;
  // After the source moved back, an earlier version lies ahead of every later token.
  const earlierVersion = isOfMovedBack(reread) ? undefined : knownDeltaVersion(known);
  return {
    table,
    strategy,
    rows: outcome.rows,
    rowBytes: rowBytesAfter(known, fetched, comparedAll),
    runsSinceSweep: comparedAll ? 0 : (known?.runsSinceSweep ?? 0) + (byId || outcome.isNarrow ? 0 : 1),
    sweptAt: comparedAll ? outcome.startedAt : known?.sweptAt,
    miscount: counted === undefined || !comparedAll ? known?.miscount : counted - outcome.rows,
    comparedAt: isVerified ? outcome.startedAt : (known?.comparedAt ?? known?.syncedAt),
    syncedAt: outcome.startedAt,
    watermark,
    reached: reachedAfter(known, fetched, outcome.startedAt, {
      byId,
      isNew: isComplete || isOfMovedBack(reread),
    }),
    fallback: fallbackAfter(known, fetched, outcome.at),
    history: fetched.plan.config.history || (known?.history === undefined ? undefined : false),
    refusedOptions: refusedOptionsAfter(known?.refusedOptions, fetched.slices, outcome.at),
    deltaVersion: deltaVersionOf(fetched) ?? earlierVersion,
    // A request that came after this plan is still to be met.
    reread: reread === undefined ? known?.reread : undefined,
    uncompared: isNew ? { ...outcome.failure!, at: outcome.at } : isSettled ? undefined : known?.uncompared,
    ...cursor,
  };
}

/**
 * What the reads of a table have reached. Rows read by id afterwards raise the version alone.
 * @param options `isNew`: versions from before say nothing any more, as after the source moved back
 */
function reachedAfter(
  known: TableState | undefined,
  fetched: FetchedTable,
  startedAt: string,
  options: { byId: boolean; isNew: boolean },
): TableState['reached'] {
  const slices = finalSlices(fetched);
  const { at = startedAt, version } = known?.reached ?? {};
  return {
    at: options.byId ? at : (slices[0]?.readAt ?? startedAt),
    version: slices.reduce(
      (most, slice) => greaterVersion(most, slice.maxVersion),
      options.isNew ? undefined : version,
    ),
  };
}

/** The refusal of a strategy, remembered until the strategy is to be tried again. */
function fallbackAfter(
  known: TableState | undefined,
  fetched: FetchedTable,
  at: string,
): TableState['fallback'] {
  const { strategy, read, reason, isDoubtful } = finalStart(fetched);
  const { fallback } = known ?? {};
  const current = fallback !== undefined && at < fallback.until ? fallback : undefined;
  const { strategy: planned } = fetched.plan;
  if (isRowsById(read) || strategy === planned || reason === undefined) return current;
  // Those that were skipped because of an earlier refusal, and those between the planned one and the one that worked.
  const names: readonly StrategyName[] = wholeTableStrategies;
  const tried = names.slice(names.indexOf(planned), names.indexOf(strategy));
  const refused = [...new Set([...refusedStrategies(current), ...tried])];
  return { reason, until: untilRetry(at, isDoubtful ? doubtfulHours : fallbackHours), refused };
}

/** Rows of which the average weight is taken. */
const fewRows = 10;

function rowBytesAfter(
  known: TableState | undefined,
  { slices }: FetchedTable,
  isWhole: boolean,
): number | undefined {
  const rows = slices.reduce((sum, { rowsRead }) => sum + rowsRead, 0);
  const bytes = slices.reduce((sum, { rowBytes = 0 }) => sum + rowBytes, 0);
  if (rows >= fewRows) return Math.round(bytes / rows);
  return known?.rowBytes ?? (isWhole ? 0 : undefined);
}

function untilRetry(at: string, hours = fallbackHours): string {
  return new Date(Date.parse(at) + hours * 3_600_000).toISOString();
}

/** The options that Dataverse rejected, remembered until they are to be tried again. */
export function refusedOptionsAfter(
  known: TableState['refusedOptions'],
  slices: readonly Slice[],
  at: string,
): TableState['refusedOptions'] {
  const current = known !== undefined && at < known.until ? known : undefined;
  const refused = slices.flatMap((slice) => slice.refused ?? []);
  if (refused.length === 0) return current;
  return { options: [...new Set([...(current?.options ?? []), ...refused])], until: untilRetry(at) };
}
