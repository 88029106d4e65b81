import type { MergeMessage } from './messages.ts';
import { paths } from './paths.ts';
import type { SyncServices } from './services.ts';

/**
 * Requests the merge of a round once every planned table has ended or failed. The first caller creates `merge.json` and
 * sends the message. `resend` sends it in any case, for a first caller that died in between.
 */
export async function requestMergeIfFetched(
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

/** The tables of a round that have ended or failed, by one listing. */
export async function finishedTables(
  services: SyncServices,
  runId: string,
  round: number,
): Promise<Set<string>> {
  const folder = paths.roundFolder(runId, round);
  const finished = new Set<string>();
  for await (const { name } of services.work.list(folder)) {
    const [entity, file] = name.slice(folder.length).split('/');
    if (entity !== undefined && (file === 'ended.json' || file === 'failed.json')) finished.add(entity);
  }
  return finished;
}
