import { ConflictError, RetriableError } from '../../errors.ts';
import { isLive } from '../documents/active-run.ts';
import { loadState } from '../documents/load-state.ts';
import type { MergeMessage } from '../documents/messages.ts';
import { paths } from '../documents/paths.ts';
import type { RoundPlan, TablePlan } from '../documents/plan.ts';
import type { MergedRound } from '../documents/report.ts';
import type { SyncServices } from '../documents/services.ts';
import { sendRound } from '../plan/plan-first-round.ts';
import { endRun } from '../run/end-run.ts';
import { noteMergeError } from '../run/fail-run.ts';
import type { FetchedTable } from '../strategies/fetched-table.ts';
import type { RowsById } from '../strategies/rows-by-id.ts';
import { collectRound } from './collect-round.ts';
import { commitRound } from './commit-round.ts';
import { fetchFiles } from './fetch-files.ts';
import { isIdle, recordIdleRound } from './idle-round.ts';

/** How often a lost race for the database or the state is run again before the queue takes over. */
const maxConflicts = 5;

/**
 * Merges a fetched round into the database in one commit, then plans the next round or ends the run.
 * Safe to run any number of times, and twice at once: the commit is guarded by the database's ETag, and a round
 * that is in the database already is not merged again.
 */
export async function mergeRound(services: SyncServices, message: MergeMessage): Promise<void> {
  const { runId, round } = message;
  const { documents, telemetry } = services;
  if (!(await isLive(services, runId))) {
    telemetry.log('info', `The run ${runId} is over; its merge message is dropped.`, { runId, round });
    return;
  }
  const plan = await documents.plan(runId, round);
  if (plan === undefined) {
    throw new RetriableError(`Round ${round} of run ${runId} has no plan.`, {
      object: paths.plan(runId, round),
    });
  }
  try {
    const merged = (await documents.merged(runId, round)) ?? (await merge(services, plan));
    if (merged !== undefined) await goOn(services, plan, merged);
  } catch (error) {
    await noteMergeError(services, message, error);
    throw error;
  }
}

async function merge(services: SyncServices, plan: RoundPlan): Promise<MergedRound | undefined> {
  const { runId, round } = plan;
  const fetched = await collectRound(services, plan);
  if (fetched === undefined) {
    services.telemetry.log('warn', `Round ${round} is not complete yet; the merge waits for its entities.`, {
      runId,
    });
    return undefined;
  }
  for (let conflicts = 0; ; conflicts++) {
    try {
      const merged = await mergeOnce(services, plan, fetched);
      const won = await services.work.createIfAbsent(paths.merged(runId, round), merged);
      return won ? merged : await services.documents.merged(runId, round);
    } catch (error) {
      if (!(error instanceof ConflictError) || conflicts >= maxConflicts) throw error;
      services.telemetry.log('info', 'Another writer was first; the merge is done again.', { runId, round });
      if (!(await isLive(services, runId))) return undefined;
    }
  }
}

async function mergeOnce(
  services: SyncServices,
  plan: RoundPlan,
  fetched: FetchedTable[],
): Promise<MergedRound> {
  const loaded = await loadState(services);
  const catalog = await services.documents.catalog(plan.catalog);
  if (isIdle(loaded.state, plan, catalog, fetched)) {
    return recordIdleRound(services, plan, catalog, fetched, loaded);
  }
  return commitRound(services, plan, catalog, fetched);
}

/** Begins the next round with the ids that the merge found missing, or ends the run. */
async function goOn(services: SyncServices, plan: RoundPlan, merged: MergedRound): Promise<void> {
  const next = Object.entries(merged.next).filter(([, ids]) => ids.length > 0);
  if (next.length === 0) {
    const { more, figures, database } = await fetchFiles(services, plan.runId);
    if (more) await services.sendMerge({ runId: plan.runId, round: plan.round });
    else
      await endRun(services, plan.runId, 'complete', {
        ...(figures === undefined ? {} : { files: figures }),
        ...(database === undefined ? {} : { database }),
      });
    return;
  }
  const first = (await services.documents.plan(plan.runId, 1))!;
  const byId = (name: string, ids: string[]): TablePlan => {
    const { config, strategy } = first.entities[name]!;
    const read: RowsById = { kind: 'ids', ids };
    return { config, strategy, read, reason: `${ids.length} rows by id` };
  };
  await sendRound(services, {
    ...plan,
    round: plan.round + 1,
    createdAt: services.now().toISOString(),
    entities: Object.fromEntries(next.map(([name, ids]) => [name, byId(name, ids)])),
  });
}
