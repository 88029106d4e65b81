import { migrationOf, tablesOf } from '../../target/sqlite/migrations.ts';
import type { Catalog } from '../documents/catalog.ts';
import { saveState } from '../documents/load-state.ts';
import type { RoundPlan } from '../documents/plan.ts';
import type { MergedRound, TableReport } from '../documents/report.ts';
import type { SyncServices } from '../documents/services.ts';
import type { LoadedState, State, SyncLogRow } from '../documents/state.ts';
import type { FetchedTable } from '../strategies/fetched-table.ts';
import { broughtNothing, nextState } from '../strategies/next-state.ts';
import { emptyReport } from './collect-round.ts';

/** Log rows of idle runs wait in `state.json` for the next commit, at most this many. */
const maxPendingLog = 5000;

/** Whether the round leaves the database as it is, so that no byte of it has to move. */
export function isIdle(
  state: State,
  plan: RoundPlan,
  catalog: Catalog,
  fetched: readonly FetchedTable[],
): boolean {
  if (state.databaseEtag === undefined || state.closureOpen === true) return false;
  if (catalog.choices !== undefined && catalog.choices !== state.choices) return false;
  const before = tablesOf(state);
  const synced = Object.values(catalog.tables);
  const sameTables = fetched.every(({ name, failure }) => {
    const known = state.entities[name];
    if (known === undefined) return failure !== undefined;
    return migrationOf(known, catalog.tables[name]!, synced, before).changes.length === 0;
  });
  return (
    sameTables && plan.round === 1 && fetched.every((one) => broughtNothing(state.entities[one.name], one))
  );
}

/** Records a round that changed nothing: cursors, times and log rows, in `state.json` alone. */
export async function recordIdleRound(
  services: SyncServices,
  plan: RoundPlan,
  catalog: Catalog,
  fetched: readonly FetchedTable[],
  loaded: LoadedState,
): Promise<MergedRound> {
  const { state, etag } = loaded;
  const at = services.now().toISOString();
  const reports = fetched.map((one): TableReport => {
    const known = state.entities[one.name];
    if (one.failure !== undefined || known === undefined) return emptyReport(one);
    return { ...emptyReport(one), table: known.table.name, state: 'merged', unchanged: known.rows };
  });
  const entities = { ...state.entities };
  for (const one of fetched) {
    const known = state.entities[one.name];
    if (known === undefined || one.failure !== undefined) continue;
    entities[one.name] = await nextState(services.settings.sync, known, known.table, one, {
      rows: known.rows,
      startedAt: plan.createdAt,
      at,
      isCurrent: true,
    });
  }
  const log = reports.map((report): SyncLogRow => logRow(plan, report, at));
  await saveState(
    services,
    {
      ...state,
      ...sourceOf(plan),
      entities,
      pendingLog: [...state.pendingLog, ...log].slice(-maxPendingLog),
    },
    etag,
  );
  return {
    round: plan.round,
    entities: [...reports, ...skippedReports(catalog)],
    database: { bytes: state.databaseBytes ?? 0, stagedBlocks: 0, stagedBytes: 0, etag: state.databaseEtag! },
    next: {},
  };
}

/** What the plan was made from; the next run compares it to see whether the metadata must be read again. */
export function sourceOf(plan: RoundPlan): Pick<State, 'catalog' | 'configDigest' | 'metadataVersion'> {
  return {
    catalog: plan.catalog,
    configDigest: plan.configDigest,
    ...(plan.metadataVersion === undefined ? {} : { metadataVersion: plan.metadataVersion }),
  };
}

export function logRow(plan: RoundPlan, report: TableReport, at: string): SyncLogRow {
  return { ...report, runId: plan.runId, round: plan.round, startedAt: plan.createdAt, finishedAt: at };
}

/** Reports of configured tables that cannot be mirrored. */
export function skippedReports(catalog: Catalog): TableReport[] {
  const none = {
    rowsRead: 0,
    pages: 0,
    requests: 0,
    retries: 0,
    bytes: 0,
    seconds: 0,
    added: 0,
    updated: 0,
    deleted: 0,
    unchanged: 0,
  };
  return Object.entries(catalog.skipped).map(([name, failure]) => ({
    name,
    strategy: 'full',
    state: 'failed',
    ...none,
    ...failure,
  }));
}
