import { paths } from '../documents/paths.ts';
import type { RoundPlan } from '../documents/plan.ts';
import { requestMergeIfFetched } from '../documents/request-merge.ts';
import type { SyncServices } from '../documents/services.ts';

/** Stores a round's plan, unless one exists, and requests the first slice of each of its tables. */
export async function startRound(services: SyncServices, plan: RoundPlan): Promise<void> {
  const { runId, round } = plan;
  const won = await services.work.createIfAbsent(paths.plan(runId, round), plan);
  const stored = won ? plan : ((await services.documents.plan(runId, round)) ?? plan);
  const entities = Object.keys(stored.entities);
  // All configured tables may have vanished from Dataverse.
  if (entities.length === 0) return requestMergeIfFetched(services, runId, round, { resend: true });
  await Promise.all(entities.map((entity) => services.sendFetch({ runId, round, entity, slice: 0 })));
}
