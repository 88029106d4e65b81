import { DamagedDocumentError } from '../../storage/document-store.ts';
import type { State } from '../../target/state.ts';
import { readActive } from '../documents/active-run.ts';
import { paths } from '../documents/paths.ts';
import { addCommits } from '../documents/report.ts';
import type { RunDocument, RunPhase } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { announceEnd } from './announce-end.ts';
import { cleanUp } from './clean-up.ts';
import { keepReread } from './kept-reread.ts';
import { notDoneHint, notDoneOf } from './not-done.ts';
import { addQuality } from './quality.ts';
import { runReport } from './run-report.ts';

/** What the caller knows about the end of a run. */
export interface RunEnd extends Pick<RunDocument, 'error' | 'hint' | 'files' | 'database'> {
  /** The state as it was saved last, if the caller has it. */
  state?: State;
}

/**
 * Ends a run: writes its report into run.json, deletes its shards and other documents and those of old runs, and last
 * deletes `active.json`. The run counts as live until then, so that no other run begins to use what is being deleted.
 * Can be repeated: after a crash between two steps, the redelivered message or the next start continues.
 */
export async function endRun(
  services: SyncServices,
  runId: string,
  phase: Extract<RunPhase, 'complete' | 'failed' | 'abandoned'>,
  end: RunEnd = {},
): Promise<void> {
  const stored = await storedRun(services, runId);
  if (stored?.phase === undefined) {
    const started = stored ?? { runId, trigger: 'timer', startedAt: services.now().toISOString() };
    const run = await reportEnd(services, started, phase, end);
    await keepReread(services, run);
    await services.work.put(paths.run(runId), run);
    announceEnd(services, run);
  }
  services.shards.forget(paths.runFolder(runId));
  services.documents.forget(paths.runFolder(runId));
  try {
    await services.work.deletePrefix(paths.roundsFolder(runId));
    await cleanUp(services);
  } finally {
    // A blob that cannot be deleted must not block all further runs. The next clean-up tries again.
    await release(services, runId);
  }
}

/** Completes the end of a run whose report is written, after the process died. @returns false if the run has not ended */
export async function resumeEnd(services: SyncServices, runId: string): Promise<boolean> {
  const phase = (await services.documents.run(runId))?.phase;
  if (phase !== 'complete' && phase !== 'failed' && phase !== 'abandoned') return false;
  await endRun(services, runId, phase);
  return true;
}

/** A damaged document must not keep the run live for ever: its report is written anew. */
async function storedRun({ documents }: SyncServices, runId: string): Promise<RunDocument | undefined> {
  try {
    return await documents.run(runId);
  } catch (error) {
    if (error instanceof DamagedDocumentError) return undefined;
    throw error;
  }
}

async function reportEnd(
  services: SyncServices,
  stored: RunDocument,
  phase: RunPhase,
  { state, ...end }: RunEnd,
): Promise<RunDocument> {
  const report = await runReport(services, stored.runId);
  const current = state ?? (await services.mirror.lastState());
  const notDone = notDoneOf(stored, report.entities, current);
  const hints = [end.hint, notDoneHint(notDone)].filter((hint) => hint !== undefined);
  return {
    ...stored,
    ...report,
    ...(current && (await addQuality(services, report.entities, phase, current))),
    ...end,
    notDone,
    hint: hints.length > 0 ? hints.join(' ') : undefined,
    database: addCommits(report.database, end.database),
    databaseBytes: current?.databaseBytes,
    phase,
    finishedAt: services.now().toISOString(),
  };
}

async function release(services: SyncServices, runId: string): Promise<void> {
  const active = await readActive(services);
  if (active?.value.runId !== runId) return;
  await services.work.deleteIfUnchanged(paths.active, active.etag);
}
