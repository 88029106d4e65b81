import type { RecentRecords } from '../../metrics/read/recent-records.ts';
import { readActive } from '../../sync/documents/active-run.ts';
import type { RunDocument } from '../../sync/documents/run.ts';
import type { SyncServices } from '../../sync/documents/services.ts';
import { type RunHistory, readHistory } from '../../sync/history/run-history.ts';
import { type RunStatus, runStatus } from '../../sync/run/run-status.ts';
import type { State } from '../../target/state.ts';
import type { Links } from './links.ts';

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
  /** Reads the records of campaign metrics since a time. */
  readMetrics: (since: Date) => Promise<RecentRecords>;
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
