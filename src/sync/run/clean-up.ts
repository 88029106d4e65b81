import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';

/** The reports of this many runs are kept. They are deleted a few at a time. */
const keptRuns = 100;
const runsAtOnce = 20;

/** How long an unused document stays. A run that has just started may be about to use it. */
const keptMilliseconds = 24 * 3_600_000;

/** Deletes the reports of old runs, and catalogs, labels and lists of ids that the state no longer names. */
export async function cleanUp(services: SyncServices): Promise<void> {
  const { work } = services;
  const runIds: string[] = [];
  for await (const runId of work.folders('runs/')) runIds.push(runId);
  if (runIds.length < keptRuns + runsAtOnce) return;
  // Run ids begin with the time of their start.
  const old = runIds.sort().slice(0, runIds.length - keptRuns);
  for (const runId of old) await work.deletePrefix(paths.runFolder(runId));

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
