import { type LoadedState, type State, sourceOf, withPendingLog } from '../../target/state.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { TableReport } from '../documents/report.ts';
import { asksToReread } from '../documents/run.ts';
import { finalStart } from '../strategies/fetched-table.ts';
import { broughtNothing, nextState } from '../strategies/next-state.ts';
import { checkBasis } from './check-basis.ts';
import { type FetchedRound, fetchReport, openFailure } from './fetched-round.ts';
import { isKnownToHaveMoved, tokenSign } from './moved-back.ts';
import { noteOtherOrganization, notePlanned } from './rereads.ts';
import { logRows, type RoundResult, skippedReports } from './round-merge.ts';

/** Whether the round leaves the mirror as it is. */
export function isIdle(round: FetchedRound, state: State): boolean {
  const { services, plan, catalog, tables, dropTables, reread } = round;
  if (plan.round !== 1 || state.databaseEtag === undefined || state.closureOpen === true) return false;
  if (catalog.choices !== undefined && catalog.choices !== state.choices) return false;
  if (state.configured?.join() !== plan.configured.join()) return false;
  if (dropTables.some((name) => state.entities[name] !== undefined)) return false;
  // Asked for since the plan was made: the next round reads the table. Also of one that waits, the request is noted.
  const isAskedLate = ([name, { reread: planned }]: [string, TablePlan]): boolean =>
    planned === undefined && (state.entities[name]?.reread !== undefined || asksToReread(reread, name));
  if (Object.entries(plan.entities).some(isAskedLate)) return false;
  const synced = Object.values(catalog.tables);
  return tables.every((fetched) => {
    const known = state.entities[fetched.name];
    if (known === undefined) return fetched.failure !== undefined;
    const { againAt } = known.absentIds ?? {};
    if (againAt !== undefined && services.now() >= new Date(againAt)) return false;
    const table = catalog.tables[fetched.name]!;
    if (tokenSign(known, fetched) !== undefined && !isKnownToHaveMoved(fetched)) return false;
    // The views name rows by it. It is known once the definitions can be read.
    if (known.table.primaryName === undefined && table.primaryName !== undefined) return false;
    const startsHistory = fetched.plan.config.history && known.history !== true;
    if (startsHistory && fetched.failure === undefined) return false;
    return broughtNothing(known, fetched) && services.mirror.schemaChanges(state, table, synced).length === 0;
  });
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
    const report = fetchReport(fetched);
    const known = state.entities[fetched.name];
    if (fetched.failure === undefined && known !== undefined) {
      const { rows } = known;
      // The schema is the same. Which columns change without a new version is no part of it.
      const table = { ...known.table, columns: catalog.tables[fetched.name]!.columns };
      const failure = finalStart(fetched).uncompared;
      Object.assign(report, { table: table.name, state: 'merged', unchanged: rows });
      Object.assign(report, failure ?? openFailure(known, fetched));
      const outcome = {
        rows,
        startedAt: fetched.plan.carried?.createdAt ?? plan.createdAt,
        at,
        isCurrent: true,
        isHeldBack: false,
        failure,
      };
      entities[fetched.name] = await nextState(services.settings.sync, known, table, fetched, outcome);
    }
    reports.push(report);
  }
  const log = logRows(plan, reports, at);
  const saved = withPendingLog(
    { ...state, ...sourceOf(plan), schemaReport: plan.schemaReport, entities },
    log,
  );
  await services.mirror.saveState({ state: saved, etag });
  const { databaseBytes: bytes = 0, databaseEtag = '' } = state;
  const database = { bytes, stagedBlocks: 0, stagedBytes: 0, etag: databaseEtag };
  const merged = {
    round: plan.round,
    entities: [...reports, ...skippedReports(catalog)],
    database,
    next: {},
    postponed: [...round.postponed],
  };
  return { merged, state: saved };
}
