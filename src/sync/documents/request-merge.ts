import type { MergeMessage } from './messages.ts';
import { paths } from './paths.ts';
import { fetchRoundOf, type RoundPlan, sliceAfterPlan } from './plan.ts';
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
  const finished = await finishedTables(services, plan);
  if (Object.keys(plan.entities).some((entity) => !finished.has(entity))) return;
  const message: MergeMessage = { runId, round };
  const claimed = await services.work.createIfAbsent(paths.mergeRequest(runId, round), message);
  if (claimed || options.resend) await services.sendMerge(message);
}

/** Seconds between two looks at a round of which tables wait or take long. */
const earlyMergeSeconds = 60;
/** Seconds after which a round is merged without the tables that are still being read. */
const longRoundSeconds = 600;

/**
 * Whether a round has been fetched for so long that its fetched tables are merged without the others. Each such merge
 * uploads the database, so there is one in ten minutes at most: the next round has a time of its own.
 */
export function takesLong({ now }: SyncServices, { createdAt }: RoundPlan): boolean {
  return now().getTime() - Date.parse(createdAt) >= longRoundSeconds * 1000;
}

/**
 * Requests to merge what is fetched of a round, in a minute: one table that Dataverse makes wait, or whose read takes
 * long, must not keep the others out of the mirror.
 * @param options `again`: also if it was requested before
 */
export async function requestEarlyMerge(
  services: SyncServices,
  runId: string,
  round: number,
  options: { again?: boolean } = {},
): Promise<void> {
  const message: MergeMessage = { runId, round, early: true };
  const claimed = await services.work.createIfAbsent(paths.earlyMerge(runId, round), message);
  if (claimed || options.again === true) await services.sendMerge(message, earlyMergeSeconds);
}

/**
 * The tables of a round that have ended or failed, by one listing for each round that fetches some of them; by none if the
 * planning has read all of them.
 */
export async function finishedTables(services: SyncServices, plan: RoundPlan): Promise<Set<string>> {
  const names = Object.keys(plan.entities);
  const finished = new Set(names.filter((name) => sliceAfterPlan(plan, name) === undefined));
  if (finished.size === names.length) return finished;
  for (const round of new Set([plan.round, ...names.map((name) => fetchRoundOf(plan, name))])) {
    const folder = paths.roundFolder(plan.runId, round);
    for await (const { name } of services.work.list(folder)) {
      const [entity, file] = name.slice(folder.length).split('/');
      const isEnd = file === 'ended.json' || file === 'failed.json';
      if (entity !== undefined && isEnd && fetchRoundOf(plan, entity) === round) finished.add(entity);
    }
  }
  return finished;
}
