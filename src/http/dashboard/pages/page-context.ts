import type { RecentRecords } from '../../../metrics/read/recent-records.ts';
import type { Table } from '../../../schema/table.ts';
import { readActive } from '../../../sync/documents/active-run.ts';
import type { TableReport } from '../../../sync/documents/report.ts';
import { isNarrowRun } from '../../../sync/documents/run.ts';
import { isRunId } from '../../../sync/documents/run-shape.ts';
import type { SyncServices } from '../../../sync/documents/services.ts';
import { addFigures } from '../../../sync/documents/slice.ts';
import type { HistoryLine } from '../../../sync/history/history-line.ts';
import { type RunHistory, readHistory } from '../../../sync/history/run-history.ts';
import { isNow, readFaults, type TableFault } from '../../../sync/history/table-faults.ts';
import { type RunStatus, runStatus } from '../../../sync/run/run-status.ts';
import type { DisplayName, SchemaChangeLine } from '../../../target/mirror-reads.ts';
import type { State } from '../../../target/state.ts';
import type { Links } from '../links.ts';

/** An environment of the app, as pages of another one show it. */
export interface PageEnvironment {
  /** Undefined for that of the app settings. */
  name: string | undefined;
  /** Throws if its settings are invalid. */
  services: () => Promise<SyncServices>;
}

/** What a page is made from. */
export interface PageContext {
  services: SyncServices;
  links: Links;
  /** What is behind the name of the page: the id of a run, the logical name of a table. */
  item?: string;
  query: URLSearchParams;
  now: Date;
  /** `SYNC_SCHEDULE`. */
  schedule?: string | undefined;
  /** The other environments of the app. */
  others: readonly PageEnvironment[];
  /** What pages read beside the documents of runs. */
  reads: {
    /** The records of campaign metrics since a time. */
    metrics: (since: Date) => Promise<RecentRecords>;
    /** The latest changes of the schema, newest first. @param table one table */
    schemaChanges: (limit: number, table?: Pick<Table, 'name' | 'database'>) => Promise<SchemaChangeLine[]>;
    /** What Dataverse calls a table and its columns. */
    displayNames: (table: Pick<Table, 'name' | 'database'>) => Promise<DisplayName[]>;
    /** About how many rows Dataverse has of tables that a run reads, by logical name, as far as it is known by now. */
    rowCounts: (runId: string, tables: readonly string[]) => Promise<ReadonlyMap<string, number>>;
  };
}

/** Syncs that the overview shows. */
const recentRuns = 48;
/** Older ones are not recent. */
const recentMilliseconds = 60 * 86_400_000;

export interface Recent {
  history: RunHistory;
  /** The run that is under way. */
  active: RunStatus | undefined;
  /** The latest run of all tables that is over, with what is wrong with each table now. */
  last: RunStatus | undefined;
  state: State | undefined;
}

/** What most pages show: the live run, what is known of each table, and the history. */
export async function readRecent({ services, now }: Pick<PageContext, 'services' | 'now'>): Promise<Recent> {
  const since = new Date(now.getTime() - recentMilliseconds);
  const [found, history, state, ids] = await Promise.all([
    readActive(services),
    readHistory(services, { since, limit: recentRuns }),
    services.mirror.lastState(),
    runIds(services),
  ]);
  const activeId = found?.value.released === true ? undefined : found?.value.runId;
  const [active, faults] = await Promise.all([
    activeId === undefined ? undefined : runStatus(services, activeId),
    readFaults(services, state),
  ]);
  const last = await lastOver(services, ids, active);
  return {
    history,
    active: active?.finishedAt === undefined ? active : undefined,
    last: last && asItIsNow(last, { faults, state, latest: history.runs[0] }),
    state,
  };
}

/** The newest first. */
async function runIds({ work }: SyncServices): Promise<string[]> {
  const ids: string[] = [];
  for await (const runId of work.folders('runs/')) if (isRunId(runId)) ids.push(runId);
  return ids.sort().reverse();
}

/** The latest run of all tables that is over, or of some tables while there is none of all. */
async function lastOver(
  services: SyncServices,
  ids: readonly string[],
  active: RunStatus | undefined,
): Promise<RunStatus | undefined> {
  const full = ids.filter((id) => !isNarrowRun(id));
  // One can be live, and another one can have started since that was read.
  for (const id of (full.length > 0 ? full : ids).slice(0, 3)) {
    const run = id === active?.runId ? active : await runStatus(services, id);
    if (run?.finishedAt !== undefined) return run;
  }
  return undefined;
}

/** The last run of all tables, with what is wrong with each table now, whichever run found it out. */
function asItIsNow(
  run: RunStatus,
  {
    faults,
    state,
    latest,
  }: { faults: ReadonlyMap<string, TableFault>; state: State | undefined; latest: HistoryLine | undefined },
): RunStatus {
  const left = new Map(faults);
  const entities = run.entities.map((table): TableReport => {
    const { error, hint, heldBack, ...others } = table;
    const isSame = error !== undefined && (state === undefined || isNow(table.name, table, state));
    const fault = left.get(table.name) ?? (isSame ? table : undefined);
    left.delete(table.name);
    if (fault !== undefined)
      return { ...others, error: fault.error, hint: fault.hint, heldBack: fault.heldBack } as TableReport;
    return error === undefined ? table : { ...others, state: 'merged' };
  });
  for (const [name, { runId, error, hint, heldBack }] of left) {
    // One that was never read, and that the run would have named if it were still configured.
    const isGone = !Object.hasOwn(state?.entities ?? {}, name) && entities.length > 0 && runId < run.runId;
    if (isGone) continue;
    const figures = { ...addFigures([]), added: 0, updated: 0, deleted: 0, unchanged: 0 };
    entities.push({
      name,
      strategy: 'full',
      state: 'failed',
      ...figures,
      error,
      hint,
      heldBack,
    } as TableReport);
  }
  const isLater = latest !== undefined && latest.finishedAt > (run.finishedAt ?? '');
  const failed = run.phase === 'complete' && isLater && latest.phase !== 'complete' ? latest : undefined;
  return {
    ...run,
    ...(failed && { phase: failed.phase, error: failed.error, hint: undefined }),
    entities,
  } as RunStatus;
}
