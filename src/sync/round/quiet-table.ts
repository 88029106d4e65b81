import type { Table } from '../../schema/table.ts';
import type { State, TableState } from '../../target/state.ts';
import type { TableReport } from '../documents/report.ts';
import { type FetchedTable, finalStart } from '../strategies/fetched-table.ts';
import { broughtNothing, nextState } from '../strategies/next-state.ts';
import { type FetchedRound, fetchReport, openFailure } from './fetched-round.ts';
import { isKnownToHaveMoved, tokenSign } from './moved-back.ts';

/** Whether the merge of a table of the round would leave the mirror as it is, and find nothing out. */
export function isQuiet(round: FetchedRound, state: State, name: string): boolean {
  const { services, catalog, tables } = round;
  const fetched = tables.find((one) => one.name === name)!;
  const known = state.entities[name];
  if (known === undefined) return fetched.failure !== undefined;
  const { againAt } = known.absentIds ?? {};
  if (againAt !== undefined && services.now() >= new Date(againAt)) return false;
  const table = catalog.tables[name]!;
  if (tokenSign(known, fetched) !== undefined && !isKnownToHaveMoved(fetched)) return false;
  // The views name rows by it. It is known once the definitions can be read.
  if (known.table.primaryName === undefined && table.primaryName !== undefined) return false;
  const startsHistory = fetched.plan.config.history && known.history !== true;
  if (startsHistory && fetched.failure === undefined) return false;
  const synced = Object.values(catalog.tables);
  return broughtNothing(known, fetched) && services.mirror.schemaChanges(state, table, synced).length === 0;
}

/**
 * What is known of a table that a read left as it was.
 * @param at the time of the round: ISO 8601, UTC
 */
export async function quietTable(
  { services, plan, catalog }: FetchedRound,
  known: TableState,
  fetched: FetchedTable,
  at: string,
): Promise<{ report: TableReport; state: TableState }> {
  const { rows } = known;
  // The schema is the same. Which columns change without a new version is no part of it.
  const table: Table = { ...known.table, columns: catalog.tables[fetched.name]!.columns };
  const failure = finalStart(fetched).uncompared;
  const report: TableReport = {
    ...fetchReport(fetched),
    ...{ table: table.name, state: 'merged', unchanged: rows },
    ...(failure ?? openFailure(known, fetched)),
  };
  const outcome = {
    rows,
    startedAt: fetched.plan.carried?.createdAt ?? plan.createdAt,
    at,
    isCurrent: true,
    isHeldBack: false,
    isNarrow: plan.narrow !== undefined,
    failure,
  };
  return { report, state: await nextState(services.settings.sync, known, table, fetched, outcome) };
}
