import type { RecentRecords } from '../../../metrics/read/recent-records.ts';
import type { Table } from '../../../schema/table.ts';
import { readActive } from '../../../sync/documents/active-run.ts';
import type { RunDocument } from '../../../sync/documents/run.ts';
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
  /** The latest run that is over, if its report is still there. */
  last: RunStatus | undefined;
  state: State | undefined;
}

/** What most pages show: one read of the history, and the reports of one or two runs. */
export async function readRecent({ services, now }: PageContext): Promise<Recent> {
  const since = new Date(now.getTime() - recentMilliseconds);
  const [found, history, state] = await Promise.all([
    readActive(services),
    readHistory(services, { since, limit: recentRuns }),
    services.mirror.lastState(),
  ]);
  const activeId = found?.value.released === true ? undefined : found?.value.runId;
  const lastId = history.runs.find(({ runId }) => runId !== activeId)?.runId;
  const [active, last] = await Promise.all([activeId, lastId].map((id) => id && runStatus(services, id)));
  return {
    history,
    active: isOver(active || undefined) ? undefined : active || undefined,
    last: last || undefined,
    state,
  };
}

function isOver(run: Pick<RunDocument, 'finishedAt'> | undefined): boolean {
  return run?.finishedAt !== undefined;
}
