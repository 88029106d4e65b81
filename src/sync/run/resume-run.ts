import { paths } from '../documents/paths.ts';
import { fetchRoundOf } from '../documents/plan.ts';
import { finishedTables, requestEarlyMerge, requestMergeIfFetched } from '../documents/request-merge.ts';
import type { SyncServices } from '../documents/services.ts';

/** Sends the messages that a run may have lost. Messages that it did not lose are harmless: their work is done. */
export async function resumeRun(services: SyncServices, runId: string): Promise<void> {
  const { documents } = services;
  const round = await latestRound(services, runId);
  if (await documents.has(paths.mergeRequest(runId, round))) {
    // The merge finds out what is done, and continues from there.
    await services.sendMerge({ runId, round });
    return;
  }
  const plan = (await documents.plan(runId, round))!;
  const finished = await finishedTables(services, plan);
  for (const entity of Object.keys(plan.entities)) {
    if (finished.has(entity)) continue;
    const at = fetchRoundOf(plan, entity);
    const slices = await documents.slices(runId, at, entity);
    // Where only the mark of the table's end is missing, the handler of the last slice sets it.
    const last = slices.at(-1);
    const slice = last !== undefined && last.next === undefined ? last.slice : slices.length;
    await services.sendFetch({ runId, round: at, entity, slice });
  }
  if (await documents.has(paths.earlyMerge(runId, round))) {
    await requestEarlyMerge(services, runId, round, { again: true });
  }
  await requestMergeIfFetched(services, runId, round, { resend: true });
}

/** The number of the newest planned round. */
export async function latestRound(services: SyncServices, runId: string): Promise<number> {
  let round = 1;
  while ((await services.documents.plan(runId, round + 1)) !== undefined) round += 1;
  return round;
}
