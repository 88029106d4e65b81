import type { MergeMessage } from './messages.ts';
import { paths } from './paths.ts';
import type { SyncServices } from './services.ts';

/**
 * Asks for the merge when every planned entity has ended or failed. Whoever comes first claims the request;
 * `resend` sends the message all the same, for a claimer that may have died between the claim and the message.
 */
export async function completeRound(
  services: SyncServices,
  runId: string,
  round: number,
  options: { resend: boolean },
): Promise<void> {
  const plan = await services.documents.plan(runId, round);
  if (plan === undefined) return;
  const finished = await finishedTables(services, runId, round);
  if (Object.keys(plan.entities).some((entity) => !finished.has(entity))) return;
  const message: MergeMessage = { runId, round };
  const claimed = await services.work.createIfAbsent(paths.mergeRequest(runId, round), message);
  if (claimed || options.resend) await services.sendMerge(message);
}

/** The entities of a round that have ended or failed, by one listing. */
export async function finishedTables(
  services: SyncServices,
  runId: string,
  round: number,
): Promise<Set<string>> {
  const folder = `${paths.roundsFolder(runId)}${round}/`;
  const finished = new Set<string>();
  for await (const { name } of services.work.list(folder)) {
    const [entity, file] = name.slice(folder.length).split('/');
    if (entity !== undefined && (file === 'ended.json' || file === 'failed.json')) finished.add(entity);
  }
  return finished;
}
