import { ConflictError, describeForLog } from '../../errors.ts';
import { databaseNameOf } from '../../storage/database/database-names.ts';
import { DamagedDocumentError } from '../../storage/document-store.ts';
import { configuredTables, type State } from '../../target/state.ts';
import { startDueCheck } from '../check/start-check.ts';
import { readActive } from '../documents/active-run.ts';
import { paths } from '../documents/paths.ts';
import { addCommits } from '../documents/report.ts';
import type { RunDocument, RunPhase } from '../documents/run.ts';
import { isRunDocument } from '../documents/run-shape.ts';
import type { SyncServices } from '../documents/services.ts';
import { requestExport } from '../export/request-export.ts';
import { dropStaged } from '../fetch/stage-shard.ts';
import { appendToHistory } from '../history/run-history.ts';
import { rememberFaults } from '../history/table-faults.ts';
import { arrangeMirror } from '../round/arrange-mirror.ts';
import { announceEnd } from './announce-end.ts';
import { cleanUp } from './clean-up.ts';
import { keepReread } from './kept-reread.ts';
import { notDoneHint, notDoneOf } from './not-done.ts';
import { addQuality } from './quality.ts';
import { type RunReport, runReport } from './run-report.ts';

/** What the caller knows about the end of a run. */
export interface RunEnd extends Pick<RunDocument, 'error' | 'hint' | 'files' | 'database'> {
  /** The state as it was saved last, if the caller has it. */
  state?: State;
  /** What became of the tables, of a run that stored no documents about it. */
  report?: RunReport;
}

type EndPhase = Extract<RunPhase, 'complete' | 'failed' | 'abandoned'>;

/** Seconds that a run can take from its report to its release. After that, its process has died. */
export const endingSeconds = 60;

/**
 * Ends a run: writes its report into run.json, announces it, deletes its shards and other documents and those of old
 * runs, and last deletes `active.json`. The run counts as live until then, so that no other run begins to use what is
 * being deleted. Can be repeated: after a crash between two steps, the redelivered message or the next start continues.
 *
 * If several processes end a run at the same time, the first report counts, and only its writer announces the end. So the
 * end is announced exactly once, or at least once if a process dies: `announced` in run.json says that it was.
 *
 * @returns false if the run is not released yet, because the process that wrote the report may be about to do it: the
 * caller looks again after `endingSeconds`
 */
export async function endRun(
  services: SyncServices,
  runId: string,
  phase: EndPhase,
  end: RunEnd = {},
): Promise<boolean> {
  for (;;) {
    const stored = await storedRun(services, runId);
    if (stored.run?.phase !== undefined) return finish(services, stored.run, stored.etag!);
    const started = stored.run ?? (await claimedRun(services, runId));
    const run = await reportEnd(services, started, phase, end);
    await keepReread(services, run);
    const etag = await write(services, run, stored.etag);
    if (etag === undefined) continue;
    await announce(services, run, etag);
    await release(services, run);
    await startDueCheck(services, run);
    // It can take longer than `endingSeconds`, and the next run can begin meanwhile. A start, which abandons runs, does not
    // wait for it: its own run does it.
    if (phase !== 'abandoned') await arrangeMirror(services, runId);
    await requestExport(services, runId, end.state);
    return true;
  }
}

/** What the claim of a run says of its start, if another program has deleted or damaged run.json. */
async function claimedRun(services: SyncServices, runId: string): Promise<RunDocument> {
  const active = (await readActive(services))?.value;
  const unknown = { trigger: 'timer' as const, startedAt: services.now().toISOString() };
  if (active?.runId !== runId) return { runId, ...unknown };
  const { trigger = unknown.trigger, tables, startedAt, traceparent } = active;
  return { runId, trigger, tables, startedAt, traceparent };
}

/**
 * Ends a run that changed nothing, in the process that has just claimed it: nothing but its claim exists, so its report and
 * the deletion of the claim are all that is written. After a crash between the two, the next start completes the end.
 * @param etag of the claim
 * @returns false if another start has resumed the run meanwhile: it requested its plan
 */
export async function endFreshRun(
  services: SyncServices,
  claim: { run: RunDocument; etag: string },
  end: RunEnd,
  options: { cleansUp: boolean },
): Promise<boolean> {
  const run = await reportEnd(services, claim.run, 'complete', end);
  const path = paths.run(run.runId);
  const reported = await services.work.create(path, run);
  if (reported === undefined) return false;
  const { cleansUp } = options;
  // The note costs a call, and is of use if the process dies before it releases the run: a clean-up takes time.
  if (cleansUp) await announce(services, run, reported);
  else await tell(services, run);
  if (cleansUp) await cleanUpOrLog(services, run);
  try {
    await services.work.deleteIfUnchanged(paths.active, claim.etag);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    // Another start has resumed the run. Its plan finds the report, and releases the run.
    if (!cleansUp) await services.work.replaceIfUnchanged(path, { ...run, announced: true }, reported);
  }
  if (cleansUp) await startDueCheck(services, run);
  await requestExport(services, run.runId, end.state);
  return true;
}

/** A document that cannot be deleted must not keep the run live. The next clean-up tries again. */
async function cleanUpOrLog(services: SyncServices, { runId }: RunDocument): Promise<void> {
  try {
    await cleanUp(services);
  } catch (error) {
    const message = `Old documents could not be deleted: ${describeForLog(error)}`;
    services.telemetry.log('warn', message, { runId });
  }
}

/**
 * Completes the end of a run whose report is written, after the process died.
 * @param options `isDead`: the process that wrote the report is known to have died, so its announcement is made up for
 * at once
 * @returns undefined if the run has not ended; otherwise whether it is released, as `endRun` does
 */
export async function resumeEnd(
  services: SyncServices,
  runId: string,
  options: { isDead?: boolean } = {},
): Promise<boolean | undefined> {
  const { run, etag } = await storedRun(services, runId);
  if (run?.phase !== 'complete' && run?.phase !== 'failed' && run?.phase !== 'abandoned') return undefined;
  return finish(services, run, etag!, options);
}

/** What remains of an end whose report is written. */
async function finish(
  services: SyncServices,
  run: RunDocument,
  etag: string,
  { isDead = false } = {},
): Promise<boolean> {
  if (run.announced !== true) {
    // A run is announced before it is released, also where that could not be noted.
    if ((await readActive(services))?.value.runId !== run.runId) return true;
    const seconds = (services.now().getTime() - Date.parse(run.finishedAt!)) / 1000;
    // The process that wrote the report is about to announce and release the run. If not, a later look does.
    if (!isDead && seconds < endingSeconds) return false;
    await announce(services, run, etag);
  }
  await release(services, run);
  // Only a start knows that.
  if (!isDead) await arrangeMirror(services, run.runId);
  return true;
}

/** @returns the ETag of the report, undefined if run.json has changed meanwhile */
async function write(
  { work }: SyncServices,
  run: RunDocument,
  etag: string | undefined,
): Promise<string | undefined> {
  const path = paths.run(run.runId);
  try {
    if (etag !== undefined) return await work.replaceIfUnchanged(path, run, etag);
    return (await work.createIfAbsent(path, run)) ? (await work.read(path))?.etag : undefined;
  } catch (error) {
    if (error instanceof ConflictError) return undefined;
    throw error;
  }
}

/** Announces the end before that is noted: a crash in between repeats the announcement rather than losing it. */
async function announce(services: SyncServices, run: RunDocument, etag: string): Promise<void> {
  const { runId } = run;
  await tell(services, run);
  try {
    await services.work.replaceIfUnchanged(paths.run(runId), { ...run, announced: true }, etag);
  } catch (error) {
    // The note is of use only if this process dies before it releases the run.
    const message = `The announcement of the run could not be noted: ${describeForLog(error)}`;
    services.telemetry.log('debug', message, { runId });
  }
}

async function tell(services: SyncServices, run: RunDocument): Promise<void> {
  try {
    announceEnd(services, run);
  } catch (error) {
    // It must not keep the run live for ever.
    const message = `The end of the run could not be announced: ${describeForLog(error)}`;
    services.telemetry.log('error', message, { runId: run.runId });
  }
  await appendToHistory(services, run);
  await rememberFaults(services, run);
}

/** Deletes the documents of a run that is over, and lets the next one start. */
async function release(services: SyncServices, run: RunDocument): Promise<void> {
  const { runId } = run;
  services.shards.forget(paths.runFolder(runId));
  services.documents.forget(paths.runFolder(runId));
  await dropStaged(services, runId, 'own');
  try {
    await services.work.deletePrefix(paths.roundsFolder(runId));
    await cleanUp(services);
  } finally {
    // A blob that cannot be deleted must not block all further runs. The next clean-up tries again.
    await deleteActive(services, run);
  }
}

/** A damaged document must not keep the run live for ever: its report is written anew. */
async function storedRun(
  { work }: SyncServices,
  runId: string,
): Promise<{ run?: RunDocument; etag?: string }> {
  try {
    const found = await work.read<RunDocument>(paths.run(runId));
    if (found === undefined) return {};
    const { value, etag } = found;
    return isRunDocument(value, runId) ? { run: value, etag } : { etag };
  } catch (error) {
    if (error instanceof DamagedDocumentError) return { etag: error.etag };
    throw error;
  }
}

async function reportEnd(
  services: SyncServices,
  stored: RunDocument,
  phase: RunPhase,
  { state, report: known, ...end }: RunEnd,
): Promise<RunDocument> {
  const { report, damage }: { report: RunReport; damage?: string | undefined } = known
    ? { report: known }
    : await reportUnlessDamaged(services, stored.runId);
  const current = state ?? (await services.mirror.lastState());
  const notDone = notDoneOf(stored, report.entities, current);
  const hints = [end.hint, damage, notDoneHint(notDone)].filter((hint) => hint !== undefined);
  return {
    ...stored,
    ...report,
    ...(current && (await addQuality(services, report.entities, phase, current))),
    ...end,
    notDone,
    hint: hints.length > 0 ? hints.join(' ') : undefined,
    database: addCommits(report.database, end.database),
    databaseBytes: current?.databaseBytes,
    databases: databasesOf(services, current),
    phase,
    finishedAt: services.now().toISOString(),
  };
}

function databasesOf({ settings }: SyncServices, state: State | undefined): RunDocument['databases'] {
  if (state?.databases === undefined) return undefined;
  const defaultName = databaseNameOf(settings.databaseName);
  const places = configuredTables(state).map(({ database = defaultName }) => database);
  return Object.fromEntries(
    Object.entries(state.databases).map(([name, { bytes, etag }]) => {
      const tables = places.filter((place) => place === name).length;
      return [name, { bytes, etag, tables }];
    }),
  );
}

/** Whether an error shows that another program has damaged the documents of a run. */
export function isDamage(error: unknown): boolean {
  // An unforeseen value in a document shows as a TypeError.
  return error instanceof DamagedDocumentError || error instanceof TypeError;
}

/** Damaged documents must not keep the run live for ever: it ends without the report of its tables. */
async function reportUnlessDamaged(
  services: SyncServices,
  runId: string,
): Promise<{ report: RunReport; damage?: string | undefined }> {
  try {
    return { report: await runReport(services, runId) };
  } catch (error) {
    if (!isDamage(error)) throw error;
    services.telemetry.log(
      'error',
      `Run ${runId} ends without the report of its tables: ${describeForLog(error)}`,
      {
        runId,
      },
    );
    const what = error instanceof DamagedDocumentError ? error.message : 'Its documents were damaged.';
    return { report: { rounds: 0, entities: [] }, damage: `What became of its tables is not known. ${what}` };
  }
}

/**
 * A run that left a request in `reread.json` leaves its claim, marked as released: a start that finds none does not look
 * for requests.
 */
async function deleteActive(
  services: SyncServices,
  { runId, reread = [], tables }: RunDocument,
): Promise<void> {
  const { work } = services;
  const active = await readActive(services);
  if (active?.value.runId !== runId) return;
  // A narrow run leaves the requests of others.
  const mayLeave = reread.length > 0 || tables !== undefined;
  const leavesRequest = mayLeave && (await work.exists(paths.keptReread));
  if (!leavesRequest) return void (await work.deleteIfUnchanged(paths.active, active.etag));
  await work.replaceIfUnchanged(paths.active, { ...active.value, released: true }, active.etag);
}
