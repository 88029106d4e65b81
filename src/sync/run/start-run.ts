import { ConflictError, describeFailure, RetriableError } from '../../errors.ts';
import { readActive } from '../documents/active-run.ts';
import { paths } from '../documents/paths.ts';
import { type ActiveRun, type RunDocument, runFormat } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { planFirstRound } from '../plan/plan-first-round.ts';
import { endRun } from './end-run.ts';
import { resumeRun } from './resume-run.ts';

/** How often in a row a stale run is resumed without progress before it is abandoned. */
const maxResumptions = 3;

export interface StartOptions {
  trigger: RunDocument['trigger'];
  /** Resume a live run at once, instead of when it counts as stale. Such a resumption is not counted. */
  resume?: boolean;
  /** Tables that may lose rows beyond `massDeleteLimit` in this run. */
  allowMassDelete?: string[];
}

export interface StartResult {
  runId: string;
  /** `live`: another run is in progress, and nothing was started. `failed`: the run could not be planned and is over. */
  outcome: 'started' | 'resumed' | 'live' | 'failed';
  /** Why the run could not be planned. */
  error?: unknown;
}

/**
 * Starts a run unless one is live. A live run without progress for longer than `SYNC_STALE_AFTER` is resumed: its missing
 * messages are sent again. After three resumptions in a row without progress it is abandoned, and a new run starts.
 */
export async function startRun(services: SyncServices, options: StartOptions): Promise<StartResult> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const startedAt = services.now().toISOString();
    const claim: ActiveRun = { runId: newRunId(services), format: runFormat, startedAt, resumptions: 0 };
    if (await services.work.createIfAbsent(paths.active, claim)) {
      return planRun(services, claim, options, 'started');
    }
    const active = await readActive(services);
    // The other run ended in between.
    if (active === undefined) continue;
    const result = await resumeOrAbandon(services, active, options);
    if (result !== undefined) return result;
  }
  throw new RetriableError('No run could be started, because other runs started and ended meanwhile.', {
    object: paths.active,
    hint: 'Try again.',
  });
}

/** Run ids sort by time: `20261121T014700Z-1a2b3c`. */
function newRunId(services: SyncServices): string {
  const time = services
    .now()
    .toISOString()
    .replace(/[-:]|\.\d+/g, '');
  return `${time}-${services.randomId()}`;
}

async function planRun(
  services: SyncServices,
  { runId, startedAt }: ActiveRun,
  { trigger, allowMassDelete }: StartOptions,
  outcome: 'started' | 'resumed',
): Promise<StartResult> {
  const run: RunDocument = { runId, trigger, startedAt, allowMassDelete };
  await services.work.createIfAbsent(paths.run(runId), run);
  services.telemetry.log('info', `Run ${runId} starts.`, { runId, trigger });
  try {
    await planFirstRound(services, runId);
    return { runId, outcome };
  } catch (error) {
    // The run ends at once, so that it does not block the next one.
    const failure = describeFailure(error);
    const { hint } = failure;
    services.telemetry.log('error', `Run ${runId} could not be planned: ${failure.error}`, { runId, hint });
    await endRun(services, runId, 'failed', failure);
    return { runId, outcome: 'failed', error };
  }
}

/** Leaves a live run alone, resumes it, or abandons it and returns undefined. */
async function resumeOrAbandon(
  services: SyncServices,
  active: { value: ActiveRun; etag: string },
  options: StartOptions,
): Promise<StartResult | undefined> {
  const { runId, resumptions, format } = active.value;
  if (format !== runFormat) {
    await endRun(services, runId, 'abandoned', {
      error: 'Another version of the app started this run.',
      hint: 'Nothing is lost: the next run starts from the cursors of the last commit.',
    });
    return undefined;
  }
  const newest = await newestBlob(services, runId);
  if (!isStale(services, active.value, newest)) {
    if (options.resume !== true) {
      services.telemetry.log('info', `Run ${runId} is in progress. Nothing was started.`, { runId });
      return { runId, outcome: 'live' };
    }
    services.telemetry.log('info', `Run ${runId} is resumed on request.`, { runId });
    return resume(services, active.value, options);
  }
  const hasProgress = newest !== undefined && newest.toISOString() !== active.value.progressAt;
  const before = hasProgress ? 0 : resumptions;
  if (before >= maxResumptions && options.resume !== true) {
    await endRun(services, runId, 'abandoned', {
      error: `The run made no progress after ${resumptions} resumptions.`,
      hint: 'See the logs of fetchEntity and mergeRound for where it stopped.',
    });
    return undefined;
  }
  const counted: ActiveRun = {
    ...active.value,
    // A request is a decision of a person or of a program that has just started, and abandons nothing.
    resumptions: options.resume === true ? before : before + 1,
    resumedAt: services.now().toISOString(),
    progressAt: newest?.toISOString(),
  };
  try {
    await services.work.replaceIfUnchanged(paths.active, counted, active.etag);
  } catch (error) {
    // Another start has resumed or ended it.
    if (error instanceof ConflictError) return { runId, outcome: 'live' };
    throw error;
  }
  services.telemetry.log('warn', `Run ${runId} made no progress and is resumed.`, {
    runId,
    resumptions: counted.resumptions,
  });
  return resume(services, counted, options);
}

/** Sends the messages of a live run that may be missing, or plans it. */
async function resume(
  services: SyncServices,
  active: ActiveRun,
  options: StartOptions,
): Promise<StartResult> {
  const { runId } = active;
  const isPlanned = (await services.documents.plan(runId, 1)) !== undefined;
  if (!isPlanned) return planRun(services, active, options, 'resumed');
  await resumeRun(services, runId);
  return { runId, outcome: 'resumed' };
}

/** When the newest blob of a run was written, by the clock of the storage; undefined if it has none. */
async function newestBlob(services: SyncServices, runId: string): Promise<Date | undefined> {
  let newest: Date | undefined;
  for await (const { lastModified } of services.work.list(paths.runFolder(runId))) {
    if (newest === undefined || lastModified > newest) newest = lastModified;
  }
  return newest;
}

/** Whether a run made no progress, and was not resumed, for longer than `SYNC_STALE_AFTER`. */
function isStale(services: SyncServices, active: ActiveRun, newest: Date | undefined): boolean {
  const { startedAt, resumedAt = startedAt } = active;
  const latest = Math.max(Date.parse(startedAt), Date.parse(resumedAt), newest?.getTime() ?? 0);
  return services.now().getTime() - latest > services.settings.sync.staleAfterSeconds * 1000;
}
