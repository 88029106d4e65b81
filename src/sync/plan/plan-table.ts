import type { TableConfig } from '../../config/entities.ts';
import type { Settings } from '../../config/settings.ts';
import type { Table } from '../../schema/table.ts';
import type { Read, Strategy, TablePlan } from '../documents/plan.ts';
import type { TableState } from '../documents/state.ts';

/**
 * Chooses how one entity is read in this run, from its metadata, its configuration and what is known of it.
 * - `delta` for tables with change tracking
 * - `modifiedon` for others with that column
 * - `full` for the rest
 * - `linked` for filtered entities: only rows that others refer to
 *
 * @param needsReread why everything must be read again (a new column, a rebuilt one), undefined where not
 */
export function planTable(
  config: TableConfig,
  table: Table,
  state: TableState | undefined,
  settings: Settings['sync'],
  now: Date,
  needsReread?: string,
): TablePlan {
  const known = needsReread === undefined ? state : undefined;
  if (config.filtered) return linkedPlan(config, state, needsReread);

  const untracked = untrackedPlan(config, table, known, settings);
  const { strategy, reason } = chooseStrategy(config, table, state, now);
  if (strategy !== 'delta') return { ...untracked, config, reason: because(reason, needsReread) };

  const link = known?.strategy === 'delta' ? known.deltaLink : undefined;
  return {
    config,
    strategy: 'delta',
    read: link === undefined ? { kind: 'delta-initial' } : { kind: 'delta', link },
    fallback: { strategy: untracked.strategy, read: untracked.read },
    sweep: untracked.sweep,
    reason: because(reason, needsReread),
  };
}

function because(reason: string, reread: string | undefined): string {
  return reread === undefined ? reason : `${reason}; everything is read again: ${reread}`;
}

function chooseStrategy(
  config: TableConfig,
  table: Table,
  state: TableState | undefined,
  now: Date,
): { strategy: Strategy; reason: string } {
  const timed: Strategy = table.modifiedOnColumn === undefined ? 'full' : 'modifiedon';
  if (config.strategy === 'modifiedon' && timed === 'full') {
    return { strategy: 'full', reason: 'modifiedon is configured, but the table has no such column' };
  }
  if (config.strategy !== undefined && config.strategy !== 'delta') {
    return { strategy: config.strategy, reason: 'configured' };
  }
  if (!table.changeTracking) {
    const why = 'change tracking is off for the table';
    return { strategy: timed, reason: timed === 'full' ? `${why} and it has no modifiedon` : why };
  }
  if (state?.fallback !== undefined && now < new Date(state.fallback.until)) {
    return {
      strategy: timed,
      reason: `${state.fallback.reason} (tried again after ${state.fallback.until})`,
    };
  }
  return { strategy: 'delta', reason: config.strategy === 'delta' ? 'configured' : 'change tracking is on' };
}

/** The read without change tracking: the first time, and for tables without modifiedon, every row. */
function untrackedPlan(
  config: TableConfig,
  table: Table,
  known: TableState | undefined,
  settings: Settings['sync'],
): { strategy: Strategy; read: Read; sweep: boolean } {
  if (table.modifiedOnColumn === undefined || config.strategy === 'full') {
    return { strategy: 'full', read: { kind: 'all' }, sweep: false };
  }
  // A table that was kept in part has rows that no watermark knows of.
  if (known?.watermark === undefined || known.strategy === 'full' || known.strategy === 'linked') {
    return { strategy: 'modifiedon', read: { kind: 'all' }, sweep: false };
  }
  const every = config.reconcileEvery ?? settings.reconcileEvery;
  return {
    strategy: 'modifiedon',
    read: { kind: 'modifiedon', since: windowStart(known.watermark, settings.overlapSeconds) },
    // Change tracking told of deletes until now; what it has not told any more only a comparison shows.
    sweep: known.strategy === 'delta' || (every > 0 && known.runsSinceSweep + 1 >= every),
  };
}

function linkedPlan(
  config: TableConfig,
  state: TableState | undefined,
  reread: string | undefined,
): TablePlan {
  return {
    config,
    strategy: 'linked',
    read: { kind: 'known', ...(reread === undefined ? {} : { whole: true as const }) },
    sweep: false,
    ...(state?.knownIds === undefined ? {} : { knownIds: state.knownIds }),
    reason: because('filtered: only rows that others refer to', reread),
  };
}

/**
 * Where the next `modifiedon ge` read begins: the watermark less an overlap, in whole seconds, because Dataverse
 * keeps modifiedon by the second and rows of one second may become visible after a later one was read.
 */
export function windowStart(watermark: string, overlapSeconds: number): string {
  const time = Math.floor(Date.parse(watermark) / 1000) * 1000 - overlapSeconds * 1000;
  return new Date(time).toISOString().replace('.000Z', 'Z');
}
