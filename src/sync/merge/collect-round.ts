import type { RoundPlan } from '../documents/plan.ts';
import type { TableReport } from '../documents/report.ts';
import type { SyncServices } from '../documents/services.ts';
import { addFigures } from '../documents/slice.ts';
import type { FetchedTable } from '../strategies/fetched-table.ts';

/** Everything that a round fetched; undefined while a table has neither ended nor failed. */
export async function collectRound(
  services: SyncServices,
  plan: RoundPlan,
): Promise<FetchedTable[] | undefined> {
  const collected: FetchedTable[] = [];
  for (const [name, tablePlan] of Object.entries(plan.entities)) {
    const slices = await services.documents.slices(plan.runId, plan.round, name);
    const ended = slices.length > 0 && slices.at(-1)!.next === undefined;
    const failure = ended ? undefined : await services.documents.failure(plan.runId, plan.round, name);
    if (!ended && failure === undefined) return undefined;
    collected.push({ name, plan: tablePlan, slices, failure });
  }
  return collected;
}

/** The report of a table before its merge. */
export function emptyReport({ name, plan, slices, failure }: FetchedTable): TableReport {
  const last = slices.at(-1);
  return {
    name,
    strategy: last?.start.strategy ?? plan.strategy,
    state: failure === undefined ? 'fetched' : 'failed',
    reason: last?.start.reason ?? plan.reason,
    ...addFigures(slices),
    added: 0,
    updated: 0,
    deleted: 0,
    unchanged: 0,
    ...failure,
  };
}
