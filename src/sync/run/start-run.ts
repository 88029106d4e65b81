import { describeError, RetriableError } from '../../errors.ts';
import { readActive } from '../documents/active-run.ts';
import { paths } from '../documents/paths.ts';
import type { ActiveRun, RunDocument } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { planFirstRound } from '../plan/plan-first-round.ts';
import { endRun } from './end-run.ts';
import { resumeRun } from './resume-run.ts';

/** A run that stood still this often is given up. */
const maxResumptions = 3;

export interface StartOptions {
  trigger: RunDocument['trigger'];
  /** Take up a live run at once instead of waiting until it counts as stale. */
  resume?: boolean;
  /** Tables whose deletes are let through once, beyond `massDeleteLimit`. */
  allowMassDelete?: string[];
}

export interface StartResult {
  runId: string;
  /** `live`: another run is on and nothing was started. `failed`: the run could not be planned and is over. */
  outcome: 'started' | 'resumed' | 'live' | 'failed';
  /** Why the run could not be planned. */
  error?: unknown;
}

/**
 * Starts a run unless one is live. A live run that stands still longer than `SYNC_STALE_AFTER` is resumed:
 * messages are sent again for whatever is missing; after three resumptions it is given up for a new one.
 */
export async function startRun(services: SyncServices, options: StartOptions): Promise<StartResult> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const runId = newRunId(services);
    const claim: ActiveRun = { runId, startedAt: services.now().toISOString(), resumptions: 0 };
    if (await services.work.createIfAbsent(paths.active, claim)) {
      return begin(services, claim, options, 'started');
    }
    const active = await readActive(services);
    // Released between the two looks: claim again.
    if (active === undefined) continue;
    const result = await takeUp(services, active, options);
    if (result !== undefined) return result;
  }
  throw new RetriableError('Runs start and end faster than this start could claim its own.', {
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

async function begin(
  services: SyncServices,
  claim: ActiveRun,
  options: StartOptions,
  outcome: 'started' | 'resumed',
): Promise<StartResult> {
  const { runId, startedAt } = claim;
  const run: RunDocument = {
    runId,
    trigger: options.trigger,
    startedAt,
    ...(options.allowMassDelete === undefined ? {} : { allowMassDelete: options.allowMassDelete }),
  };
  await services.work.createIfAbsent(paths.run(runId), run);
  services.telemetry.log('info', `Run ${runId} starts.`, { runId, trigger: options.trigger });
  try {
    await planFirstRound(services, runId);
    return { runId, outcome };
  } catch (error) {
    // A run that cannot even be planned ends at once, so that the next one is not held up by it.
    const { message, hint } = describeError(error);
    services.telemetry.log('error', `Run ${runId} could not be planned: ${message}`, {
      runId,
      ...(hint ? { hint } : {}),
    });
    await endRun(services, runId, 'failed', { error: message, ...(hint === undefined ? {} : { hint }) });
    return { runId, outcome: 'failed', error };
  }
}

/** What to do about a live run: nothing, resume it, or (undefined) start anew because it was given up. */
async function takeUp(
  services: SyncServices,
  active: { value: ActiveRun; etag: string },
  options: StartOptions,
): Promise<StartResult | undefined> {
  const { runId, resumptions } = active.value;
  const stale = options.resume === true || (await isStale(services, active.value));
  if (!stale) {
    services.telemetry.log('info', `Run ${runId} is still on; nothing was started.`, { runId });
    return { runId, outcome: 'live' };
  }
  if (resumptions >= maxResumptions) {
    await endRun(services, runId, 'abandoned', {
      error: `The run stood still after ${resumptions} resumptions.`,
      hint: 'The log of fetchEntity and mergeRound says where it stopped.',
    });
    return undefined;
  }
  const counted = { ...active.value, resumptions: resumptions + 1 };
  try {
    await services.work.replaceIfUnchanged(paths.active, counted, active.etag);
  } catch {
    // Somebody else resumed or ended it first.
    return { runId, outcome: 'live' };
  }
  services.telemetry.log('warn', `Run ${runId} stood still and is resumed.`, {
    runId,
    resumptions: counted.resumptions,
  });
  const planned = (await services.documents.plan(runId, 1)) !== undefined;
  if (!planned) return begin(services, counted, options, 'resumed');
  await resumeRun(services, runId);
  return { runId, outcome: 'resumed' };
}

/** Whether the run's newest blob is older than `SYNC_STALE_AFTER`: staleness needs no heartbeat. */
async function isStale(services: SyncServices, active: ActiveRun): Promise<boolean> {
  let newest = Date.parse(active.startedAt);
  for await (const { lastModified } of services.work.list(paths.runFolder(active.runId))) {
    newest = Math.max(newest, lastModified.getTime());
  }
  return services.now().getTime() - newest > services.settings.sync.staleAfterSeconds * 1000;
}
