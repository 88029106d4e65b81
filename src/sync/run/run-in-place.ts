import { ConflictError, describeForLog, RetriableError } from '../../errors.ts';
import { isFirstOfHour } from '../../target/state.ts';
import { paths } from '../documents/paths.ts';
import type { ActiveRun, RunDocument } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { type PlannedRound, planKnownRound, startFirstRound } from '../plan/plan-first-round.ts';
import { areFilesDue, tablesWithFiles } from '../round/files-due.ts';
import { isIdle, recordIdleRound } from '../round/record-idle-round.ts';
import { endFreshRun, type RunEnd } from './end-run.ts';
import { createRun } from './kept-reread.ts';

/**
 * Runs a run in the function that has just claimed it, as far as that is quick: plans it and reads the first page of each
 * table. If no table changed, the run ends here. Otherwise only tables that changed go through the queue.
 *
 * No plan is stored before it is known what the run needs. So a process that dies before that leaves a claim without a plan,
 * as one that dies before it sends the plan message, and the next start requests the plan. Here no message is delivered
 * again: a process that dies after it stored the plan, and before it sent the messages that follow, leaves a run that is
 * resumed when it is stale.
 *
 * @param etag of the claim
 * @returns false if the queue has to plan the run: metadata must be read, or an error may pass
 */
export async function runInPlace(
  services: SyncServices,
  { runId, startedAt, traceparent, trigger = 'timer', tables }: ActiveRun,
  etag: string,
): Promise<boolean> {
  const run: RunDocument = { runId, trigger, tables, startedAt, traceparent };
  try {
    const planned = await planKnownRound(services, runId, { tables });
    if (planned === undefined) return false;
    const cleansUp = isFirstOfHour(planned.loaded.state, services.now());
    // An earlier version of the app left requests without a claim that tells of them.
    if (cleansUp && (await services.work.exists(paths.keptReread))) return false;
    const end = await recordIfIdle(services, planned, run);
    if (end !== undefined) {
      await endFreshRun(services, { run, etag }, end, { cleansUp });
      return true;
    }
    const created = await createRun(services, run);
    // Another start has resumed the run, or an earlier run left a request that the plan does not know.
    if (created?.reread !== undefined || created === undefined) return false;
    await startFirstRound(services, planned);
    return true;
  } catch (error) {
    const text = `Run ${runId} goes on in the queue: ${describeForLog(error)}`;
    services.telemetry.log('info', text, { runId });
    return false;
  }
}

/**
 * Records a planned round in which no table changed.
 * @param run what the run was asked for, as far as that is known yet
 * @returns how the run ends; undefined if it goes on
 * @throws RetriableError if the state has changed since it was loaded: the run must be planned again
 */
export async function recordIfIdle(
  services: SyncServices,
  { plan, catalog, loaded }: PlannedRound,
  {
    allowMassDelete = [],
    dropTables = [],
    reread,
  }: Pick<RunDocument, 'allowMassDelete' | 'dropTables' | 'reread'>,
): Promise<RunEnd | undefined> {
  const { slices = {} } = plan;
  const tables = Object.entries(plan.entities).flatMap(([name, one]) => {
    const slice = slices[name];
    return slice === undefined || slice.next !== undefined ? [] : [{ name, plan: one, slices: [slice] }];
  });
  if (tables.length === 0 || tables.length < Object.keys(plan.entities).length) return undefined;
  if (areFilesDue(loaded.state, tablesWithFiles(plan))) return undefined;
  const round = { services, plan, catalog, tables, postponed: [], allowMassDelete, dropTables, reread };
  if (!isIdle(round, loaded.state)) return undefined;
  try {
    const { merged, state } = await recordIdleRound(round, loaded);
    const { entities, database } = merged;
    return { state, report: { rounds: 1, entities: entities.map(({ notes: _, ...one }) => one), database } };
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    // Another attempt at this plan may have saved later cursors, next to which those of this one look like a source that
    // has moved back in time.
    throw new RetriableError('The state changed while the run was planned.', {
      operation: 'plan',
      object: 'state.json',
      hint: 'The queue plans the run again.',
      cause: error,
    });
  }
}
