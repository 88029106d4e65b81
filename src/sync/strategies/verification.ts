import { createHash } from 'node:crypto';
import type { Table } from '../../schema/table.ts';
import type { TableState } from '../../target/state.ts';
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
export function isVerificationDue({ config, table, state, settings, now }: PlanContext): boolean {
  if (state === undefined) return false;
  if (state.sweepAgain !== undefined) return true;
  const hours = config.verifyHours ?? settings.verifyHours;
  if (hours === 0) return false;
  const place = createHash('sha256').update(table.logicalName).digest().readUInt32BE() / 2 ** 32;
  const due = hours * 3_600_000 * (1 - spread * place);
  const age = now.getTime() - Date.parse(state.comparedAt ?? state.syncedAt);
  // A comparison in the future was timed by a clock that was wrong.
  return age >= due || age <= -due;
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
