import { describeForLog } from '../../errors.ts';
import { paths } from '../documents/paths.ts';
import { isNarrowRun } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { closeMonths } from '../history/history-days.ts';
import { deleteOldHistory } from '../history/run-history.ts';

/** The reports of old runs are deleted a few at a time: at most this many more are there. */
const runsAtOnce = 20;

/** A setting that became smaller delays no run for long: the rest goes later. */
const mostRuns = 200;

/** `GET /api/health` looks at the newest runs. */
const alwaysKept = 5;

/** How long an unused document stays. A run that has just started may be about to use it. */
const keptMilliseconds = 24 * 3_600_000;

/** Deletes the reports of old runs, and catalogs, labels and lists of ids that the state no longer names. */
export async function cleanUp(services: SyncServices): Promise<void> {
  const { work } = services;
  const runIds: string[] = [];
  for await (const runId of work.folders('runs/')) runIds.push(runId);
  const old = oldRuns(services, runIds);
  if (old.length < Math.max(1, Math.min(runsAtOnce, (runIds.length - old.length) / 5))) return;
  for (const runId of old.slice(0, mostRuns)) await work.deletePrefix(paths.runFolder(runId));
  try {
    await deleteOldHistory(services);
    await closeMonths(services);
  } catch (error) {
    // The next clean-up tries again.
    services.telemetry.log('warn', `The history could not be tidied up: ${describeForLog(error)}`);
  }

  const last = await services.mirror.lastState();
  // Without it, nobody knows what is in use.
  if (last === undefined) return;
  const state = JSON.stringify(last);
  for (const folder of paths.digestFolders) {
    for await (const { name, lastModified } of work.list(folder)) {
      const digest = name.slice(folder.length).replace(/\.json$/, '');
      const age = services.now().getTime() - lastModified.getTime();
      if (age > keptMilliseconds && !state.includes(digest)) await work.deletePrefix(name);
    }
  }
}

/** The runs beyond `SYNC_KEEP_RUNS`, oldest first. Many narrow runs do not displace those of all tables. */
function oldRuns(services: SyncServices, runIds: readonly string[]): string[] {
  const narrow = runIds.filter(isNarrowRun);
  const others = runIds.filter((runId) => !isNarrowRun(runId));
  return [narrow, others].flatMap((ids) => oldOf(services, ids)).sort();
}

/** Run ids begin with the time of their start. */
function oldOf({ settings, now }: SyncServices, runIds: readonly string[]): string[] {
  const { count, seconds = Number.POSITIVE_INFINITY } = settings.sync.keepRuns;
  const before = now().getTime() - seconds * 1000;
  const newestFirst = [...runIds].sort().reverse();
  const kept = newestFirst.findIndex(
    (runId, index) => index >= alwaysKept && (index >= count || startOf(runId) < before),
  );
  return kept < 0 ? [] : newestFirst.slice(kept);
}

/** When a run started, in milliseconds; NaN for a folder of another program. */
function startOf(runId: string): number {
  const time = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)/.exec(runId)?.slice(1).map(Number) ?? [];
  const [year = Number.NaN, month = 1, ...rest] = time;
  return Date.UTC(year, month - 1, ...rest);
}
