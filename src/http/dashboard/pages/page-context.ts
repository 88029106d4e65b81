import type { RecentRecords } from '../../../metrics/read/recent-records.ts';
import type { Table } from '../../../schema/table.ts';
import { readActive } from '../../../sync/documents/active-run.ts';
import type { TableReport } from '../../../sync/documents/report.ts';
import { isNarrowRun } from '../../../sync/documents/run.ts';
import { isRunId } from '../../../sync/documents/run-shape.ts';
import type { SyncServices } from '../../../sync/documents/services.ts';
import { type RunHistory, readHistory } from '../../../sync/history/run-history.ts';
import { type RunStatus, runStatus } from '../../../sync/run/run-status.ts';
import type { State } from '../../../target/state.ts';
import type { Links } from '../links.ts';

/** A change that a sync made to the schema of the mirror, as `_sync_schema_changes` has it. */
export interface SchemaChangeLine {
  /** ISO 8601, UTC. */
  at: string;
  /** The name of the table in SQLite. */
  table_name: string;
  column_name: string | null;
  change: string;
  detail: string;
}

/** What Dataverse calls a table or a column of the mirror. */
export interface DisplayName {
  /** Null for the table itself. */
  column_name: string | null;
  display_name: string | null;
  description: string | null;
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
  /** The latest run of all tables that is over, with what later runs of some tables say of those. */
  last: RunStatus | undefined;
  state: State | undefined;
}

/** Of the runs of some tables since the last one of all tables, the latest so many are looked at. */
const narrowRuns = 20;

/** What most pages show: the live run, what is known of each table since the last run of all tables, and the history. */
export async function readRecent({ services, now }: PageContext): Promise<Recent> {
  const since = new Date(now.getTime() - recentMilliseconds);
  const [found, history, state, ids] = await Promise.all([
    readActive(services),
    readHistory(services, { since, limit: recentRuns }),
    services.mirror.lastState(),
    runIds(services),
  ]);
  const activeId = found?.value.released === true ? undefined : found?.value.runId;
  const over = ids.filter((id) => id !== activeId);
  const full = over.findIndex((id) => !isNarrowRun(id));
  const narrow = over.slice(0, full < 0 ? undefined : full).slice(0, narrowRuns);
  const lastIds = full < 0 ? narrow : [over[full]!, ...narrow];
  const [active, ...runs] = await Promise.all([
    activeId === undefined ? undefined : runStatus(services, activeId),
    ...lastIds.map((id) => runStatus(services, id)),
  ]);
  const isLive = active !== undefined && active.finishedAt === undefined;
  return {
    history,
    active: isLive ? active : undefined,
    last: togetherOf(
      runs.filter((run) => run !== undefined),
      state,
    ),
    state,
  };
}

/** The newest first. */
async function runIds({ work }: SyncServices): Promise<string[]> {
  const ids: string[] = [];
  for await (const runId of work.folders('runs/')) if (isRunId(runId)) ids.push(runId);
  return ids.sort().reverse();
}

/** The last run of all tables, with what later runs of some tables say of those. */
function togetherOf(runs: readonly RunStatus[], state: State | undefined): RunStatus | undefined {
  const [first, ...later] = runs.toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1));
  if (first === undefined) return undefined;
  const entities = new Map(first.entities.map((table) => [table.name, table]));
  for (const table of later.flatMap((run) => run.entities)) entities.set(table.name, table);
  // There may be more runs of some tables than are looked at. The mirror knows when it read a table without an error.
  const isRead = ({ name, error, heldBack = 0 }: TableReport): boolean =>
    error !== undefined &&
    heldBack === 0 &&
    Date.parse(state?.entities[name]?.syncedAt ?? '') > Date.parse(first.finishedAt ?? first.startedAt);
  for (const table of first.entities) {
    if (entities.get(table.name) !== table || !isRead(table)) continue;
    const { error: _, hint: __, ...report } = table;
    entities.set(table.name, { ...report, state: 'merged' });
  }
  const latest = later.at(-1);
  const failed = first.phase === 'complete' && latest?.phase !== 'complete' ? latest : undefined;
  return { ...first, ...failed, entities: [...entities.values()] };
}
