import { createHash } from 'node:crypto';
import { RetriableError } from '../../errors.ts';
import { paths } from './paths.ts';
import type { TablePlan } from './plan.ts';
import type { SyncServices } from './services.ts';

/**
 * The ids that the database holds of a `linked` entity, kept beside the runs so that an idle run can ask
 * Dataverse about them without the database. Content-addressed: the state names the list it belongs to.
 */
export async function writeKnownIds(services: SyncServices, ids: string[]): Promise<string> {
  const digest = createHash('sha256').update(ids.join('\n')).digest('hex').slice(0, 32);
  await services.work.createIfAbsent(paths.knownIds(digest), ids);
  return digest;
}

/** @throws RetriableError where the list that the plan names is gone */
export async function readKnownIds(services: SyncServices, plan: TablePlan): Promise<string[]> {
  if (plan.knownIds === undefined) return [];
  const ids = await services.documents.claim<string[]>(paths.knownIds(plan.knownIds));
  if (ids !== undefined) return ids;
  throw new RetriableError(`The list of known ids of ${plan.config.name} is missing.`, {
    object: paths.knownIds(plan.knownIds),
  });
}
