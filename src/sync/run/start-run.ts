import { ConflictError, describeFailure, describeForLog, RetriableError } from '../../errors.ts';
import { inRun, newRunTrace } from '../../telemetry/tracing.ts';
import { readClaim } from '../documents/active-run.ts';
import { paths } from '../documents/paths.ts';
import {
  type ActiveRun,
  bothRereads,
  narrowSuffix,
  type RereadRequest,
  type RunDocument,
  runFormat,
} from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { endingSeconds, endRun, isDamage, resumeEnd } from './end-run.ts';
import { createRun } from './kept-reread.ts';
import { resumeRun } from './resume-run.ts';
import { runInPlace } from './run-in-place.ts';

/** How often in a row a stale run is resumed without progress before it is abandoned. */
const maxResumptions = 3;

/**
 * Seconds after which the plan message of a run counts as lost, or the start that plans it as dead, if its planning has not
 * begun. The first message to an app without instances can take two minutes (github.com/Azure/azure-functions-host#10706).
 */
const lostAfterSeconds = 180;

const waitHint = 'Wait until the run is over, or resume it.';
const lateHint =
  'The run is being merged. Send allowMassDelete, dropTables and reread again when it is over.';

const narrowHint =
  'The run is of some tables alone. Send allowMassDelete, dropTables and reread again when it is over.';

export interface StartOptions {
  trigger: RunDocument['trigger'];
  /**
   * Logical names of the tables of a narrow run: it reads these and the filtered tables that depend on them, and leaves
   * the others with their cursors. They are configured tables, and so are those of `allowMassDelete` and `reread`.
   */
  tables?: string[];
  /** Resume a live run at once, instead of when it counts as stale. Such a resumption is not counted. */
  resume?: boolean;
  /** Tables that may lose rows beyond `massDeleteLimit` in this run. */
  allowMassDelete?: string[];
  /** Tables to drop from the mirror, which are not configured any more. */
  dropTables?: string[];
  /** Tables that are read again in full, whatever their cursors say. */
  reread?: RereadRequest;
}

export interface StartResult {
  runId: string;
  /** `live`: another run is in progress, and nothing was started. */
  outcome: 'started' | 'resumed' | 'live';
  /** What the caller can do about a live run. */
  hint?: string;
  /** The tables of the run if it is narrow. */
  tables?: string[];
}

/**
 * Starts a run unless one is live: claims it and requests its plan, which a queue message makes. A run that the timer or a
 * command starts is planned here, and if nothing changed, ends here; see `runInPlace`. A caller over HTTP waits for
 * neither. A live run without progress for longer than `SYNC_STALE_AFTER` is resumed: its missing messages are sent again. After three resumptions in
 * a row without progress it is abandoned, and a new run starts.
 * @throws ConfigurationError if another app uses the queues
 */
export async function startRun(services: SyncServices, options: StartOptions): Promise<StartResult> {
  await services.claimQueues(services.now());
  let { resume: resumes } = options;
  for (let attempt = 0; attempt < 3; attempt++) {
    const startedAt = services.now().toISOString();
    const { trigger, tables } = options;
    const runId = newRunId(services, tables);
    const traceparent = newRunTrace();
    const claim: ActiveRun = {
      ...{ runId, format: runFormat, startedAt, traceparent, trigger, tables },
      resumptions: 0,
    };
    const etag = await services.work.create(paths.active, claim);
    const active = etag === undefined ? await readClaim(services) : undefined;
    // An earlier run left a request, which a plan in place would not know.
    const isReleased = active?.value.released === true;
    if (etag !== undefined || (isReleased && (await claimReleased(services, claim, active.etag)))) {
      services.telemetry.log('info', `Run ${runId} starts.`, { runId, trigger });
      const result = await inRun(claim, 'Start run', { 'sync.trigger': trigger }, () =>
        begin(services, claim, etag, options),
      );
      if (result !== undefined) return result;
      continue;
    }
    // The other run ended in between, or another start was first.
    if (active === undefined || isReleased) continue;
    const result = await inRun(active.value, 'Check run', { 'sync.trigger': trigger }, () =>
      resumeOrAbandon(services, active, { ...options, resume: resumes }),
    );
    if (result !== undefined) return result;
    // A run that ended meanwhile is being released by the process that ended it. It did not die.
    resumes = false;
  }
  throw new RetriableError('No run could be started, because other runs started and ended meanwhile.', {
    object: paths.active,
    hint: 'Try again.',
  });
}

/** Claims a run in place of one that was released. @returns false if another start was first */
async function claimReleased({ work }: SyncServices, claim: ActiveRun, etag: string): Promise<boolean> {
  try {
    await work.replaceIfUnchanged(paths.active, claim, etag);
    return true;
  } catch (error) {
    if (error instanceof ConflictError) return false;
    throw error;
  }
}

/** Run ids sort by time, also those of one second: `20261121T014700123Z-1a2b3c4d`. */
function newRunId(services: SyncServices, tables: StartOptions['tables']): string {
  const time = services.now().toISOString().replace(/[-:.]/g, '');
  return `${time}-${services.randomId()}${tables === undefined ? '' : narrowSuffix}`;
}

/** The options of a start that name tables. */
type TableOptions = Pick<StartOptions, 'allowMassDelete' | 'dropTables' | 'reread'>;

const namesTables = ({ allowMassDelete = [], dropTables = [], reread = [] }: TableOptions): boolean =>
  allowMassDelete.length + dropTables.length + reread.length > 0;

/** Begins a run that has just been claimed. @returns undefined if other starts resumed it, and it has ended */
async function begin(
  services: SyncServices,
  claim: ActiveRun,
  etag: string | undefined,
  options: StartOptions,
): Promise<StartResult | undefined> {
  const { runId } = claim;
  const isInPlace = options.trigger !== 'http' && etag !== undefined && !namesTables(options);
  const started: StartResult = { runId, outcome: 'started', tables: claim.tables };
  if (isInPlace && (await runInPlace(services, claim, etag))) return started;
  const isCreated = (await createRun(services, documentOf(claim, options))) !== undefined;
  // Another start has resumed the run meanwhile, without the tables.
  if (!isCreated && namesTables(options)) return resume(services, claim, options);
  // After a crash before this, the next start finds a run whose planning has not begun, and requests its plan again.
  await services.sendPlan({ runId });
  return started;
}

const documentOf = (
  { runId, startedAt, traceparent, trigger = 'timer', tables }: ActiveRun,
  { allowMassDelete, dropTables, reread }: TableOptions,
): RunDocument => ({
  ...{ runId, trigger, tables, startedAt, traceparent },
  ...{ allowMassDelete, dropTables, reread },
});

/**
 * Adds the tables of `options` to those of a live run, in run.json. A start that died may not have written that.
 * @returns false if the run has ended: what is added then would not be done
 */
async function addTables(services: SyncServices, active: ActiveRun, options: TableOptions): Promise<boolean> {
  const path = paths.run(active.runId);
  for (;;) {
    const run = await services.work.read<RunDocument>(path);
    if (run === undefined) {
      if (await createRun(services, documentOf(active, options))) return true;
      // The run was planned where it was claimed, and has its report now.
      continue;
    }
    if (run.value.phase !== undefined) return false;
    const both = (name: 'allowMassDelete' | 'dropTables') => [
      ...new Set([...(run.value[name] ?? []), ...(options[name] ?? [])]),
    ];
    const reread = bothRereads(run.value.reread, options.reread);
    const added = { allowMassDelete: both('allowMassDelete'), dropTables: both('dropTables'), reread };
    try {
      await services.work.replaceIfUnchanged(path, { ...run.value, ...added }, run.etag);
      return true;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }
}

/**
 * Leaves a live run alone, resumes it, or abandons it and returns undefined. A run whose documents another program has
 * damaged cannot end by itself, so it is abandoned at once.
 */
async function resumeOrAbandon(
  services: SyncServices,
  active: { value: ActiveRun; etag: string },
  options: StartOptions,
): Promise<StartResult | undefined> {
  try {
    return await resumeIfStale(services, active, options);
  } catch (error) {
    if (!isDamage(error)) throw error;
    const { runId } = active.value;
    services.telemetry.log('error', `Run ${runId} cannot be resumed: ${describeForLog(error)}`, { runId });
    const { error: found, hint } = describeFailure(error, runId);
    await endRun(services, runId, 'abandoned', { error: found, hint });
    return undefined;
  }
}

async function resumeIfStale(
  services: SyncServices,
  active: { value: ActiveRun; etag: string },
  options: StartOptions,
): Promise<StartResult | undefined> {
  const { runId, resumptions, format, tables } = active.value;
  if (format !== runFormat) {
    await endRun(services, runId, 'abandoned', {
      error: 'Another version of the app started this run.',
      hint: 'Nothing is lost: the next run starts from the cursors of the last commit.',
    });
    return undefined;
  }
  const run = await services.documents.run(runId);
  if (run?.finishedAt !== undefined) {
    // Its report is written, and its documents are being deleted; or the process has died meanwhile.
    const age = services.now().getTime() - Date.parse(run.finishedAt);
    if (age < endingSeconds * 1000 && options.resume !== true)
      return { runId, outcome: 'live', hint: waitHint, tables };
    await resumeEnd(services, runId, { isDead: true });
    return undefined;
  }
  const progress = await progressOf(services, runId);
  // The merge may have read these options. Accepting more would promise what it may not do.
  // A narrow run may not read the tables.
  const isNarrow = tables !== undefined;
  const isLate = namesTables(options) && (isNarrow || (await isMerging(services, runId)));
  const late: StartResult = { runId, outcome: 'live', hint: isNarrow ? narrowHint : lateHint, tables };
  if (!isStale(services, active.value, progress)) {
    if (options.resume !== true) {
      services.telemetry.log('info', `Run ${runId} is in progress. Nothing was started.`, { runId });
      return { runId, outcome: 'live', hint: waitHint, tables };
    }
    if (isLate) return late;
    services.telemetry.log('info', `Run ${runId} is resumed on request.`, { runId });
    return resume(services, active.value, options);
  }
  const hasProgress = progress.at !== active.value.progressAt;
  const before = hasProgress ? 0 : resumptions;
  // A request is a decision of a person, or of a program that has just started. A run that has not begun lost a message.
  const counts = options.resume !== true && progress.hasBegun;
  if (before >= maxResumptions && counts) {
    await endRun(services, runId, 'abandoned', {
      error: `The run made no progress after ${resumptions} resumptions.`,
      hint: 'See the logs of planRun, fetchEntity and mergeRound for where it stopped.',
    });
    return undefined;
  }
  const counted: ActiveRun = {
    ...active.value,
    resumptions: counts ? before + 1 : before,
    resumedAt: services.now().toISOString(),
    progressAt: progress.at,
  };
  try {
    await services.work.replaceIfUnchanged(paths.active, counted, active.etag);
  } catch (error) {
    // Another start has resumed or ended it.
    if (error instanceof ConflictError) return { runId, outcome: 'live', tables };
    throw error;
  }
  services.telemetry.log('warn', `Run ${runId} made no progress and is resumed.`, {
    runId,
    resumptions: counted.resumptions,
  });
  services.telemetry.event('RunResumed', { runId }, { resumptions: counted.resumptions });
  if (!isLate) return resume(services, counted, options);
  await resume(services, counted, { trigger: options.trigger });
  return late;
}

/** Sends the messages of a live run that may be missing. @returns undefined if it has ended before it got its tables */
async function resume(
  services: SyncServices,
  active: ActiveRun,
  options: StartOptions,
): Promise<StartResult | undefined> {
  const { runId, tables } = active;
  const addsTables = namesTables(options);
  if (addsTables && !(await addTables(services, active, options))) return undefined;
  // A merge that was requested meanwhile may have read them before they were added.
  const isLate = addsTables && (await isMerging(services, runId));
  if ((await services.documents.plan(runId, 1)) !== undefined) {
    await resumeRun(services, runId);
  } else {
    if (!addsTables) await createRun(services, documentOf(active, {}));
    await services.sendPlan({ runId });
  }
  return isLate ? { runId, outcome: 'live', hint: lateHint, tables } : { runId, outcome: 'resumed', tables };
}

/** Whether the merge of round 1 may have begun, also without tables that wait. */
async function isMerging(services: SyncServices, runId: string): Promise<boolean> {
  for (const path of [paths.mergeRequest, paths.earlyMerge]) {
    if (await services.documents.has(path(runId, 1))) return true;
  }
  return (await services.documents.merged(runId, 1)) !== undefined;
}

interface RunProgress {
  /** When the newest blob of the run was written, by the clock of the storage: ISO 8601. Undefined if it has none. */
  activeAt?: string;
  /** The same without the errors of failed tries, which are a sign of life and no progress. */
  at?: string;
  /** Whether its planning has begun in the queue, or is over. */
  hasBegun: boolean;
}

async function progressOf(services: SyncServices, runId: string): Promise<RunProgress> {
  let newest: Date | undefined;
  let active: Date | undefined;
  let hasBegun = false;
  for await (const { name, lastModified } of services.work.list(paths.runFolder(runId))) {
    // A start that plans the run itself stores the shards that it reads before its plan.
    hasBegun ||= name === paths.planning(runId) || name === paths.plan(runId, 1);
    if (active === undefined || lastModified > active) active = lastModified;
    if (name.endsWith('-error.json')) continue;
    if (newest === undefined || lastModified > newest) newest = lastModified;
  }
  return { at: newest?.toISOString(), activeAt: active?.toISOString(), hasBegun };
}

/** Whether a run made no progress, and was not resumed, for longer than `SYNC_STALE_AFTER`. */
function isStale(services: SyncServices, active: ActiveRun, { activeAt, hasBegun }: RunProgress): boolean {
  const { startedAt, resumedAt = startedAt } = active;
  const { staleAfterSeconds } = services.settings.sync;
  const seconds = hasBegun ? staleAfterSeconds : Math.min(staleAfterSeconds, lostAfterSeconds);
  const latest = Math.max(...[startedAt, resumedAt, activeAt ?? startedAt].map((time) => Date.parse(time)));
  return services.now().getTime() - latest > seconds * 1000;
}
