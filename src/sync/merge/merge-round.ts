import { ConfigurationError, ConflictError, RetriableError } from '../../errors.ts';
import { isLive } from '../documents/active-run.ts';
import type { MergeMessage } from '../documents/messages.ts';
import { paths } from '../documents/paths.ts';
import type { RoundPlan } from '../documents/plan.ts';
import type { MergedRound } from '../documents/report.ts';
import { requestEarlyMerge } from '../documents/request-merge.ts';
import type { RunDocument } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { planNextRound } from '../plan/plan-next-round.ts';
import { startRound } from '../plan/start-round.ts';
import { readFetchedRound } from '../round/fetched-round.ts';
import { isIdle, recordIdleRound } from '../round/record-idle-round.ts';
import type { RoundResult } from '../round/round-merge.ts';
import { endRun, resumeEnd } from '../run/end-run.ts';
import { failRun, lookAgain, storeMergeError } from '../run/fail-run.ts';
import { fetchFiles } from './fetch-files.ts';
import { mergeIntoMirror } from './merge-into-mirror.ts';

/** How often a merge that lost a race is repeated before the queue takes over. */
const maxConflicts = 5;

/**
 * Merges a fetched round into the mirror in one commit, then starts the next round or ends the run. Can be repeated, and
 * two can run at the same time: one of their commits fails, and a round that is in the mirror is not merged again.
 */
export async function mergeRound(
  services: SyncServices,
  message: MergeMessage,
  options: { redelivered?: boolean } = {},
): Promise<void> {
  const { runId, round } = message;
  const { documents, telemetry } = services;
  if (!(await isLive(services, runId))) {
    const level = message.early ? 'debug' : 'info';
    telemetry.log(level, `Run ${runId} is over. Its merge message is dropped.`, { runId, round });
    if ((await resumeEnd(services, runId)) === false) await lookAgain(services, message);
    return;
  }
  try {
    // An earlier delivery, or another message, has ended the run, and died before it released it.
    const run = await documents.run(runId);
    if (run?.phase !== undefined) {
      if ((await resumeEnd(services, runId)) === false) await lookAgain(services, message);
      return;
    }
    // The round was merged without this request. What follows it, the round after it requests itself. A redelivered
    // message may have merged it and failed to send what follows.
    const isNeeded = message.early !== true || options.redelivered === true;
    if (!isNeeded && (await documents.plan(runId, round + 1)) !== undefined) return;
    const plan = await documents.plan(runId, round);
    if (plan === undefined) {
      throw new RetriableError(`Round ${round} of run ${runId} has no plan.`, {
        object: paths.plan(runId, round),
      });
    }
    const earlier = await documents.merged(runId, round);
    const result = earlier === undefined ? await merge(services, plan, run, message) : { merged: earlier };
    if (result !== undefined) await continueRun(services, plan, result);
  } catch (error) {
    // A leased or archived database stays so until a person acts, and an app without access gains none by a retry.
    if (error instanceof ConfigurationError) return failRun(services, message, error);
    await storeMergeError(services, message, error);
    throw error;
  }
}

async function merge(
  services: SyncServices,
  plan: RoundPlan,
  run: RunDocument | undefined,
  { early }: MergeMessage,
): Promise<RoundResult | undefined> {
  const { runId, round } = plan;
  const fetched = await readFetchedRound(services, plan, run, { early });
  if (fetched === undefined && early) {
    // Other tables are still being fetched.
    await requestEarlyMerge(services, runId, round, { again: true });
    return undefined;
  }
  if (fetched === undefined) {
    services.telemetry.log(
      'warn',
      `Round ${round} is not fetched yet. Its last table requests the merge again.`,
      {
        runId,
      },
    );
    return undefined;
  }
  const { postponed } = fetched;
  if (postponed.length > 0) {
    const message = `Round ${round} is merged without ${postponed.join(', ')}: they wait or take long, and are merged later.`;
    services.telemetry.log('info', message, { runId, round });
  }
  for (let conflicts = 0; ; conflicts++) {
    try {
      const loaded = await services.mirror.loadState();
      const mergeOnce = isIdle(fetched, loaded.state) ? recordIdleRound : mergeIntoMirror;
      const result = await mergeOnce(fetched, loaded);
      if (await services.work.createIfAbsent(paths.merged(runId, round), result.merged)) {
        services.documents.remember(paths.merged(runId, round), result.merged);
        warnIfMovedBack(services, runId, result.merged);
        logCorrections(services, plan, result.merged);
        return result;
      }
      const merged = await services.documents.merged(runId, round);
      return merged && { ...result, merged };
    } catch (error) {
      if (!(error instanceof ConflictError) || conflicts >= maxConflicts) throw error;
      services.telemetry.log('info', 'Another writer committed first. The merge is repeated.', {
        runId,
        round,
      });
      if (!(await isLive(services, runId))) return undefined;
    }
  }
}

function warnIfMovedBack(services: SyncServices, runId: string, { movedBack }: MergedRound): void {
  if (movedBack === undefined) return;
  const message = `Dataverse has moved back in time, as after a restore, copy or reset of the environment. All tables are read again in full: ${movedBack}.`;
  services.telemetry.log('warn', message, { runId });
}

function logCorrections(
  { telemetry }: SyncServices,
  { runId, round }: RoundPlan,
  { entities }: MergedRound,
): void {
  for (const { name, verified, corrected = 0 } of entities) {
    if (corrected === 0) continue;
    const message = `${corrected} rows of ${name} differed from those of Dataverse. They are brought up to date.`;
    telemetry.log('info', message, { runId, round, entity: name, verified, corrected });
  }
}

/**
 * Starts the next round with the ids that the merge found missing, the tables to be read again and those that wait;
 * without any, fetches files and ends the run.
 */
async function continueRun(
  services: SyncServices,
  plan: RoundPlan,
  { merged, state }: { merged: MergedRound } & Partial<RoundResult>,
): Promise<void> {
  const { runId, round } = plan;
  const next = await planNextRound(services, plan, merged, state);
  if (next !== undefined) return startRound(services, next);
  const current = state ?? (await services.mirror.lastState());
  const { isPartial, ...figures } = await fetchFiles(services, runId, current);
  if (isPartial) await services.sendMerge({ runId, round });
  else if (!(await endRun(services, runId, 'complete', { ...figures, state: current }))) {
    await lookAgain(services, { runId, round });
  }
}
