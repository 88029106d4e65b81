import { paths } from '../documents/paths.ts';
import { type RoundPlan, sliceAfterPlan } from '../documents/plan.ts';
import { requestEarlyMerge, requestMergeIfFetched } from '../documents/request-merge.ts';
import type { SyncServices } from '../documents/services.ts';

/** Stores a round's plan, unless one exists, and requests the first slice of each table that the planning has not read. */
export async function startRound(services: SyncServices, plan: RoundPlan): Promise<void> {
  const { runId, round } = plan;
  const won = await services.work.createIfAbsent(paths.plan(runId, round), plan);
  if (won) services.documents.remember(paths.plan(runId, round), plan);
  const stored = won ? plan : ((await services.documents.plan(runId, round)) ?? plan);
  const all = Object.keys(stored.entities);
  // The messages of a table that was carried over from an earlier round are under way.
  const own = all.filter((entity) => stored.entities[entity]!.carried === undefined);
  const messages = own.flatMap((entity) => {
    const slice = sliceAfterPlan(stored, entity);
    return slice === undefined ? [] : [{ runId, round, entity, slice }];
  });
  await Promise.all(messages.map((message) => services.sendFetch(message)));
  const isCarrying = own.length < all.length;
  if (isCarrying) await requestEarlyMerge(services, runId, round);
  // The planning may have read all tables, all may have vanished from Dataverse, and those carried over may have ended.
  if (messages.length === 0 || isCarrying) {
    await requestMergeIfFetched(services, runId, round, { resend: true });
  }
}
