import {
  type LoadedState,
  type State,
  sourceOf,
  unchangedReport,
  withPendingLog,
} from '../../target/state.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { TableReport } from '../documents/report.ts';
import { asksToReread } from '../documents/run.ts';
import { checkBasis } from './check-basis.ts';
import { type FetchedRound, fetchReport } from './fetched-round.ts';
import { isQuiet, quietTable } from './quiet-table.ts';
import { noteOtherOrganization, notePlanned } from './rereads.ts';
import { logRows, type RoundResult, skippedReports } from './round-merge.ts';

/** Whether the round leaves the mirror as it is. */
export function isIdle(round: FetchedRound, state: State): boolean {
  const { plan, catalog, tables, dropTables, reread } = round;
  if ((state.leftovers?.length ?? 0) > 0) return false;
  if (plan.round !== 1 || state.databaseEtag === undefined || state.closureOpen === true) return false;
  if (catalog.choices !== undefined && catalog.choices !== state.choices) return false;
  if (state.configured?.join() !== plan.configured.join()) return false;
  if (dropTables.some((name) => state.entities[name] !== undefined)) return false;
  // Asked for since the plan was made: the next round reads the table. Also of one that waits, the request is noted.
  const isAskedLate = ([name, { reread: planned }]: [string, TablePlan]): boolean =>
    planned === undefined && (state.entities[name]?.reread !== undefined || asksToReread(reread, name));
  if (Object.entries(plan.entities).some(isAskedLate)) return false;
  return tables.every(({ name }) => isQuiet(round, state, name));
}

/** Records a round that changed nothing: cursors, times and log rows, without the mirror. */
export async function recordIdleRound(
  round: FetchedRound,
  { state, etag }: LoadedState,
): Promise<RoundResult> {
  const { services, plan, catalog } = round;
  checkBasis(plan, state);
  const at = services.now().toISOString();
  const reports: TableReport[] = [];
  const entities = { ...state.entities };
  noteOtherOrganization({ ...state, entities }, plan);
  notePlanned(entities, plan);
  for (const fetched of round.tables) {
    const known = state.entities[fetched.name];
    if (fetched.failure !== undefined || known === undefined) {
      reports.push(fetchReport(fetched));
      continue;
    }
    const quiet = await quietTable(round, known, fetched, at);
    entities[fetched.name] = quiet.state;
    reports.push(quiet.report);
  }
  const log = logRows(plan, reports, at);
  const saved = withPendingLog(
    { ...state, ...sourceOf(plan), schemaReport: plan.schemaReport, entities },
    log,
  );
  await services.mirror.saveState({ state: saved, etag });
  const merged = {
    round: plan.round,
    entities: [...reports, ...skippedReports(catalog, plan)],
    database: unchangedReport(state),
    next: {},
    postponed: [...round.postponed],
  };
  return { merged, state: saved };
}
