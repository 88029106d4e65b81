import { describeFailure, describeForLog, RetriableError } from '../../errors.ts';
import { isLive, readLive } from '../documents/active-run.ts';
import type { PlanMessage } from '../documents/messages.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';
import { isFinal } from '../fetch/fail-table.ts';
import { dropStaged } from '../fetch/stage-shard.ts';
import { planFirstRound, startFirstRound } from '../plan/plan-first-round.ts';
import { endingSeconds, endRun, resumeEnd } from './end-run.ts';
import { resumeRun } from './resume-run.ts';
import { recordIfIdle } from './run-in-place.ts';

/** The longest wait that a message can be given: seven days less a margin (learn.microsoft.com: Put Message). */
const maxDelaySeconds = 6 * 86_400;

/**
 * Plans a run that was started. Can be repeated, and two can run at the same time: the first plan counts. A run in which no
 * table changed ends here, and so does one that cannot be planned because of a mistake. Only the first attempt reads the
 * first pages of tables; see `readFirstSlices`.
 *
 * @throws RetriableError and unknown errors: the queue delivers the message again
 */
export async function planRun(services: SyncServices, message: PlanMessage): Promise<void> {
  const { runId } = message;
  const { work, documents, telemetry } = services;
  /** Looks at the end of the run again, if its process may have died before it released the run. */
  const lookAgain = async (isReleased: boolean | undefined): Promise<void> => {
    if (isReleased === false) await services.sendPlan(message, endingSeconds);
  };
  const active = await readLive(services, runId);
  if (active === undefined) {
    telemetry.log('info', `Run ${runId} is over. Its plan message is dropped.`, { runId });
    return lookAgain(await resumeEnd(services, runId));
  }
  // An earlier delivery has ended the run, and died before it released it.
  const run = await documents.run(runId);
  if (run?.phase !== undefined) return lookAgain(await resumeEnd(services, runId));
  // Whoever stored it may have died, or failed, before it sent the messages that follow from it.
  if ((await documents.plan(runId, 1)) !== undefined) return resumeRun(services, runId);
  const isFirst = await work.createIfAbsent(paths.planning(runId), {
    startedAt: services.now().toISOString(),
  });
  try {
    // A page may have killed the process that planned the run before, here or in the function that started it. In a
    // message of its own it fails its table alone.
    const readsFirst = isFirst && active.resumedAt === undefined;
    // The claim knows as well what the run is of, if another program has deleted run.json.
    const requests = { ...run, tables: run?.tables ?? active.tables };
    const planned = await planFirstRound(services, runId, requests, { readsFirst });
    const end = await recordIfIdle(services, planned, run ?? {});
    if (end !== undefined) return lookAgain(await endRun(services, runId, 'complete', end));
    await startFirstRound(services, planned);
    await dropStaged(services, runId, 'others');
  } catch (error) {
    const failure = describeFailure(error, runId);
    const { hint } = failure;
    if (isFinal(error)) {
      telemetry.log('error', `Run ${runId} could not be planned: ${describeForLog(error)}`, { runId, hint });
      return lookAgain(await endRun(services, runId, 'failed', failure));
    }
    telemetry.log('warn', `Planning run ${runId} failed and is retried: ${describeForLog(error)}`, {
      runId,
      hint,
    });
    await work.put(paths.planError(runId), failure);
    const seconds = error instanceof RetriableError ? error.retryAfterSeconds : undefined;
    const { startedAt } = (await documents.run(runId)) ?? {};
    const waited = startedAt === undefined ? 0 : (services.now().getTime() - Date.parse(startedAt)) / 1000;
    if (seconds === undefined || waited >= services.settings.sync.maxWaitSeconds) throw error;
    // The service asked to wait. The five tries of the queue would be over before.
    await services.sendPlan(message, Math.min(Math.ceil(seconds), maxDelaySeconds));
  }
}

/** Ends a run whose planning failed too often. The next run plans anew. */
export async function failPoisonedPlan(services: SyncServices, message: PlanMessage): Promise<void> {
  const { runId } = message;
  if (!(await isLive(services, runId))) return;
  if ((await services.documents.plan(runId, 1)) !== undefined) return resumeRun(services, runId);
  const stored = await services.documents.storedError(paths.planError(runId));
  const isReleased = await endRun(services, runId, 'failed', {
    error: stored?.error ?? 'Planning the run failed repeatedly and left no error.',
    hint: stored?.hint ?? 'See the function log of planRun.',
  });
  if (!isReleased) await services.sendPlan(message, endingSeconds);
}
