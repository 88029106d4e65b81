/** `active.json` and `run.json`: which run is live, and what a run did. */
import type { StrategyName } from '../../config/strategies.ts';
import type { DatabaseReport } from '../../target/state.ts';
import type { FileFigures, TableReport } from './report.ts';

/**
 * The format of the documents of a run. It changes with each incompatible change: a run that another version of the app
 * started is abandoned.
 */
export const runFormat = 4;

/** `active.json`: which run is live. */
export interface ActiveRun {
  runId: string;
  /** `runFormat` of the version that started the run. */
  format?: number;
  startedAt: string;
  /** `traceparent` of run.json. */
  traceparent?: string;
  /** `trigger` of run.json, in case the start died before it wrote that; absent from an earlier version. */
  trigger?: RunDocument['trigger'];
  /** `tables` of run.json, for the same reason. */
  tables?: string[];
  /** How often in a row the run was stale, was resumed, and made no progress. */
  resumptions: number;
  /** The run is over. It left a request in `reread.json`, which the next start must look for. */
  released?: boolean;
  /** When a stale run was resumed last: ISO 8601, UTC. */
  resumedAt?: string;
  /** The time of the run's newest blob at that moment, by the clock of the storage. A newer blob is progress. */
  progressAt?: string;
}

/** Logical names of tables that are to be read again in full, or all of them. */
export type RereadRequest = string[] | 'all';

/** Two requests as one. */
export function bothRereads(
  one: RereadRequest | undefined,
  other: RereadRequest | undefined,
): RereadRequest | undefined {
  if (one === 'all' || other === 'all') return 'all';
  return one && other ? [...new Set([...one, ...other])] : (one ?? other);
}

export function asksToReread(request: RereadRequest | undefined, name: string): boolean {
  return request === 'all' || request?.includes(name) === true;
}

/** The ids of narrow runs end in it, so that a listing of many runs tells them from runs of all tables. */
export const narrowSuffix = '-tables';

/** Whether a run is of some tables alone. */
export function isNarrowRun(runId: string): boolean {
  return runId.endsWith(narrowSuffix);
}

export type RunPhase = 'planning' | 'fetching' | 'merging' | 'complete' | 'failed' | 'abandoned';

/** `run.json`: how the run started, and its report once it is over. */
export interface RunDocument {
  runId: string;
  trigger: 'timer' | 'http' | 'command' | 'changes';
  /** Logical names of the tables of a narrow run; absent from a run of all tables. */
  tables?: string[];
  startedAt: string;
  /** Identifies the run's span (w3.org/TR/trace-context); absent without a monitor. */
  traceparent?: string;
  /** Logical names of the tables that may lose rows beyond `massDeleteLimit` in this run. */
  allowMassDelete?: string[];
  /** Logical names of tables to drop from the mirror, which are not configured any more. */
  dropTables?: string[];
  /** Logical names of the tables that this run reads again in full. */
  reread?: RereadRequest;
  /** What of `allowMassDelete` and `dropTables` the run ended without; see run/not-done.ts. */
  notDone?: Record<'allowMassDelete' | 'dropTables', string[]>;
  finishedAt?: string;
  /** Whether the end of the run was announced to the monitor; absent until then. */
  announced?: boolean;
  phase?: RunPhase;
  error?: string;
  hint?: string;
  rounds?: number;
  entities?: TableReport[];
  database?: DatabaseReport;
  /** Size of the database after the run, also if the run left it as it was; absent while there is none. */
  databaseBytes?: number;
  /** The database files by name, after the run, if there are others than the default one. */
  databases?: Record<string, DatabaseSize>;
  /** References in the mirror whose target is absent; absent if the run committed nothing. */
  danglingReferences?: number;
  /** Absent if the run fetched and removed no file. */
  files?: FileFigures;
  quality?: RunQuality;
}

/** One of several database files. */
export interface DatabaseSize {
  bytes: number;
  etag: string;
  /** How many configured tables it has. A file without any is no longer used. */
  tables: number;
}

/** How good the mirror is after a run. */
export interface RunQuality {
  /** Tables in the mirror and their rows, by strategy. */
  byStrategy: Partial<Record<StrategyName, { tables: number; rows: number }>>;
  rows: number;
  /** When the last read of the table that is furthest behind began: ISO 8601, UTC. */
  oldestSync?: string;
  /** Seconds from then to the end of the run. No change that the mirror lacks is older. */
  ageSeconds?: number;
  /** How many tables were compared with Dataverse's own count, and the logical names of those that differ. */
  counted: number;
  miscounted: string[];
}
