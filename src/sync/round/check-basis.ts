import { ConfigurationError } from '../../errors.ts';
import type { State } from '../../target/state.ts';
import type { RoundPlan } from '../documents/plan.ts';

/**
 * Checks that the mirror is the one that the round was planned for, or a later state of it. If the database was replaced by
 * an older one or by none in between, what was fetched begins after what the mirror has: the rows between the two would be
 * missing, and the new cursors would hide that.
 * @throws ConfigurationError, which ends the run; the next one starts from the cursors of the database that is there
 */
export function checkBasis({ runId, round, entities }: RoundPlan, state: State): void {
  // The state that this round has saved itself, before its process died. It is older than the plan if the clock went back.
  if (state.pendingLog.some((row) => row.runId === runId && row.round === round)) return;
  const names = Object.keys(entities).filter((name) => {
    const { knownAt } = entities[name]!;
    return knownAt !== undefined && (state.entities[name]?.syncedAt ?? '') < knownAt;
  });
  if (names.length === 0) return;
  const which = names.slice(0, 3).join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : '');
  throw new ConfigurationError(
    `The database was replaced while this run was reading: it lacks the state that ${which} continued from.`,
    {
      operation: 'merge',
      object: names[0],
      hint: 'Start another run. It continues from the database that is there now, or reads everything if there is none.',
    },
  );
}
