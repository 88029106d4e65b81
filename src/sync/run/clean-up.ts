import { readCachedState } from '../documents/load-state.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';

/** Reports of this many runs are kept, and some more before the surplus is worth deleting. */
const keptRuns = 100;
const surplus = 20;

/** Content-addressed documents that nothing names are kept this long, for a run that is just about to name them. */
const keptMilliseconds = 24 * 3_600_000;

/**
 * Deletes the reports of old runs, and catalogs, labels and lists of ids that the state no longer names.
 * Looks once per run and deletes once in many.
 */
export async function cleanUp(services: SyncServices): Promise<void> {
  const { work } = services;
  const runIds = new Set<string>();
  for await (const { name } of work.list('runs/')) runIds.add(name.split('/')[1]!);
  if (runIds.size < keptRuns + surplus) return;
  // Run ids begin with their time, so their order is that of their starts.
  const old = [...runIds].sort().slice(0, runIds.size - keptRuns);
  for (const runId of old) await work.deletePrefix(paths.runFolder(runId));

  const state = JSON.stringify((await readCachedState(services))?.value ?? {});
  for (const folder of paths.contentFolders) {
    for await (const { name, lastModified } of work.list(folder)) {
      const digest = name.slice(folder.length).replace(/\.json$/, '');
      const aged = services.now().getTime() - lastModified.getTime() > keptMilliseconds;
      if (aged && !state.includes(digest)) await work.deletePrefix(name);
    }
  }
}
