import { paths } from '../documents/paths.ts';
import type { RoundPlan } from '../documents/plan.ts';
import { requestEarlyMerge, requestMergeIfFetched } from '../documents/request-merge.ts';
import type { SyncServices } from '../documents/services.ts';

/** Stores a round's plan, unless one exists, and requests the first slice of each of its tables. */
export async function startRound(services: SyncServices, plan: RoundPlan): Promise<void> {
  const { runId, round } = plan;
  const won = await services.work.createIfAbsent(paths.plan(runId, round), plan);
  const stored = won ? plan : ((await services.documents.plan(runId, round)) ?? plan);
  const all = Object.keys(stored.entities);
  // The messages of a table that was carried over from an earlier round are under way.
  const entities = all.filter((entity) => stored.entities[entity]!.carried === undefined);
  await Promise.all(entities.map((entity) => services.sendFetch({ runId, round, entity, slice: 0 })));
  if (entities.length < all.length) await requestEarlyMerge(services, runId, round);
  // All configured tables may have vanished from Dataverse, and those carried over may have ended meanwhile.
  if (entities.length === 0 || entities.length < all.length) {
    await requestMergeIfFetched(services, runId, round, { resend: true });
  }
}
