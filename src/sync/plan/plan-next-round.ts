import { type State, stateIn } from '../../target/state.ts';
import type { RoundPlan, TablePlan } from '../documents/plan.ts';
import type { MergedRound } from '../documents/report.ts';
import type { SyncServices } from '../documents/services.ts';
import type { RowsById } from '../strategies/rows-by-id.ts';
import { planTable } from './plan-table.ts';

/**
 * Plans the round after a merged one: the rows that the merge found missing, by id; the tables to be read again in full;
 * and the tables that wait.
 * @param state as the merge saved it, if known: with it, rows that the mirror has are not read for references to them
 * @returns undefined if there is nothing left to read
 */
export async function planNextRound(
  services: SyncServices,
  plan: RoundPlan,
  merged: MergedRound,
  state: State | undefined,
): Promise<RoundPlan | undefined> {
  const { postponed = [], reread = {} } = merged;
  const next = Object.entries(merged.next).filter(([, ids]) => ids.length > 0);
  const again = Object.entries(reread);
  if (next.length + again.length + postponed.length === 0) return undefined;
  const first = (await services.documents.plan(plan.runId, 1))!;
  const byId = (name: string, ids: string[]): TablePlan => {
    const { config, strategy } = first.entities[name]!;
    const { storedIds: stored, refusedOptions, syncedAt: knownAt } = state?.entities[name] ?? {};
    const read: RowsById = { kind: 'ids', ids, stored };
    const omit = refusedOptions?.options;
    return { config, strategy, read, knownAt, omit, reason: `${ids.length} rows by id` };
  };
  const { round, createdAt } = plan;
  const carry = (name: string): TablePlan => {
    const waiting = plan.entities[name]!;
    return { ...waiting, carried: waiting.carried ?? { round, createdAt } };
  };
  return {
    ...plan,
    round: round + 1,
    createdAt: services.now().toISOString(),
    slices: undefined,
    entities: Object.fromEntries([
      ...postponed.map((name) => [name, carry(name)] as const),
      ...next.map(([name, ids]) => [name, byId(name, ids)] as const),
      // After it, the merge finds again which rows are missing.
      ...(await planRereads(services, first, again)),
    ]),
  };
}

async function planRereads(
  services: SyncServices,
  first: RoundPlan,
  rereads: readonly [string, string][],
): Promise<(readonly [string, TablePlan])[]> {
  if (rereads.length === 0) return [];
  const [catalog, { state }, run] = await Promise.all([
    services.documents.catalog(first.catalog),
    services.mirror.loadState(),
    services.documents.run(first.runId),
  ]);
  return rereads.map(([name, rereadReason]) => {
    services.telemetry.log('info', `All rows of ${name} are read again: ${rereadReason}`, { entity: name });
    const { config } = first.entities[name]!;
    const allowsMassDelete = run?.allowMassDelete?.includes(name) === true;
    const table = catalog.tables[name]!;
    const known = stateIn(state, table);
    const { sync: settings } = services.settings;
    const now = services.now();
    return [
      name,
      planTable({ config, table, state: known, rereadReason, allowsMassDelete, settings, now }),
    ] as const;
  });
}
