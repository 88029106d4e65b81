import { paths } from '../documents/paths.ts';
import { finishedTables, requestMergeIfFetched } from '../documents/request-merge.ts';
import type { SyncServices } from '../documents/services.ts';

/** Sends messages again for whatever a run lacks. Duplicates are harmless: they meet claimed results. */
export async function resumeRun(services: SyncServices, runId: string): Promise<void> {
  const round = await latestRound(services, runId);
  const plan = (await services.documents.plan(runId, round))!;
  const requested = await services.documents.claim(paths.mergeRequest(runId, round));
  if (requested !== undefined) {
    // The merge handler itself finds out how far it came, and goes on to the next round or the end.
    await services.sendMerge({ runId, round });
    return;
  }
  const finished = await finishedTables(services, runId, round);
  for (const entity of Object.keys(plan.entities)) {
    if (finished.has(entity)) continue;
    const slices = await services.documents.slices(runId, round, entity);
    // The last claimed slice is asked for again where the entity's end was not marked: its handler follows up.
    const last = slices.at(-1);
    const slice = last !== undefined && last.next === undefined ? last.slice : slices.length;
    await services.sendFetch({ runId, round, entity, slice });
  }
  await requestMergeIfFetched(services, runId, round, { resend: true });
}

/** The number of the newest planned round. */
export async function latestRound(services: SyncServices, runId: string): Promise<number> {
  let round = 1;
  while ((await services.documents.plan(runId, round + 1)) !== undefined) round += 1;
  return round;
}
