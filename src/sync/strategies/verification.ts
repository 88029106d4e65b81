import { createHash } from 'node:crypto';
import { intervalOf } from '../../config/strategies.ts';
import { ConfigurationError, SyncError } from '../../errors.ts';
import type { Table } from '../../schema/table.ts';
import type { TableState } from '../../target/state.ts';
import type { Read, SliceStart } from '../documents/slice.ts';
import type { MergeOutcome } from './fetched-table.ts';
import type { PlanContext } from './strategy.ts';

/** The part of the interval within which the tables take their turns. */
const spread = 0.25;

/**
 * Whether all rows of the table must be compared with Dataverse in this run: the fast way of finding changes may have
 * missed some, or have named some that are not in the mirror yet.
 *
 * Tables that were read first in one run would all be due in one run. Each has its own time in the last quarter of the
 * interval, which follows from its name.
 */
export function isVerificationDue(context: PlanContext): boolean {
  const { config, table, state, settings, now } = context;
  if (state === undefined) return false;
  if (isPutOff(context)) return false;
  if (state.sweepAgain !== undefined) return true;
  const hours = config.verifyHours ?? settings.verifyHours;
  if (hours === 0) return false;
  const place = createHash('sha256').update(table.logicalName).digest().readUInt32BE() / 2 ** 32;
  const due = hours * 3_600_000 * (1 - spread * place);
  const age = now.getTime() - Date.parse(state.comparedAt ?? state.syncedAt);
  // A comparison in the future was timed by a clock that was wrong.
  return age >= due || age <= -due;
}

/** How long a comparison of all rows is not repeated that failed, or whose deletes were held back: it is dear. */
const putOffHours = 1;

/** Whether it is too early to compare again. A run that may delete the rows does what was held back. */
function isPutOff({ state, allowsMassDelete, now }: PlanContext): boolean {
  const { uncompared, sweepAgain } = state ?? {};
  if (uncompared === undefined || (sweepAgain === 'deletes' && allowsMassDelete)) return false;
  return Math.abs(now.getTime() - Date.parse(uncompared.at)) < putOffHours * 3_600_000;
}

/** How much earlier than after its interval a comparison may come: no two runs are exactly an interval apart. */
const slackSeconds = 60;

/** Whether all keys of the table must be compared in this run, because deletes show in no other way. */
export function isReconciliationDue(context: PlanContext): boolean {
  const { config, state, settings, now, isNarrow = false } = context;
  if (state === undefined || hasJustFailed(context)) return false;
  // One that could not be read, at the time or because of a count, is tried again before its next time.
  if (state.uncompared !== undefined && state.sweepAgain === undefined) return true;
  const every = intervalOf(config.reconcileEvery ?? settings.reconcileEvery);
  // Runs of all tables are counted: a webhook would bring narrow runs without number.
  if ('runs' in every) return !isNarrow && every.runs > 0 && state.runsSinceSweep + 1 >= every.runs;
  const age = Math.abs(now.getTime() - Date.parse(state.sweptAt ?? '')) / 1000;
  // Not if the age is not known.
  return !(age < every.seconds - Math.min(slackSeconds, every.seconds / 10));
}

/** Whether the comparison of all rows failed lately. */
function hasJustFailed(context: PlanContext): boolean {
  return context.state?.sweepAgain === undefined && isPutOff(context);
}

/**
 * How a read goes on that cannot compare all rows: its changes are read again, and merged. Otherwise a table that is too
 * large to be scanned would get no changes at all.
 */
export function withoutComparison(position: SliceStart, error: unknown): SliceStart | undefined {
  // Without the right identity or address nothing can be read.
  if (error instanceof ConfigurationError || !(error instanceof SyncError)) return undefined;
  const { strategy, read } = position;
  const text = `The rows could not be compared with those of Dataverse: ${error.message}`;
  const hint =
    'Changes are up to date. Deletes and changes that Dataverse does not report may be missing. The comparison is tried again every hour.';
  return {
    strategy,
    read: { ...read, sweep: false, values: undefined } as Read,
    part: 'rows',
    reason: text,
    uncompared: { error: text, hint },
  };
}

/** Whether the table has columns whose values change without a new version of their row. */
export function hasUnversioned({ columns }: Table): boolean {
  return columns.some((column) => column.unversioned === true);
}

/** Which consequences of a comparison are still to come. A read by id (`isById`) is of the rows that it found. */
export function sweepAgainAfter(
  known: TableState | undefined,
  outcome: MergeOutcome,
  read: { isById: boolean; comparesAll: boolean },
): TableState['sweepAgain'] {
  if (outcome.isHeldBack) return 'deletes';
  const before = known?.sweepAgain;
  if (read.isById) return outcome.isCurrent && before === 'rows' ? undefined : before;
  if (!outcome.isCurrent) return 'rows';
  return read.comparesAll ? undefined : before;
}
