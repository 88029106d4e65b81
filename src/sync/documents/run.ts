/** `active.json` and `run.json`: which run is live, and what a run did. */
import type { StrategyName } from '../../config/strategies.ts';
import type { DatabaseReport } from '../../target/state.ts';
import type { FileFigures, TableReport } from './report.ts';

/**
 * The format of the documents of a run. It changes with an incompatible change of theirs: a run that another version of
 * the app started is abandoned.
 */
export const runFormat = 2;

/** `active.json`: which run is live. */
export interface ActiveRun {
  runId: string;
  /** `runFormat` of the version that started the run. */
  format?: number;
  startedAt: string;
  /** How often it was taken up again after it stood still. */
  resumptions: number;
}

export type RunPhase = 'planning' | 'fetching' | 'merging' | 'complete' | 'failed' | 'abandoned';

/** `run.json`: the run's begin, and its report once it is over. */
export interface RunDocument {
  runId: string;
  trigger: 'timer' | 'http';
  startedAt: string;
  /** Tables whose deletes are let through once beyond `massDeleteLimit`. */
  allowMassDelete?: string[];
  finishedAt?: string;
  phase?: RunPhase;
  error?: string;
  hint?: string;
  rounds?: number;
  entities?: TableReport[];
  database?: DatabaseReport;
  /** References in the database whose target is absent; unknown where the run committed nothing. */
  danglingReferences?: number;
  /** Contents of file and image columns; absent where none were looked for. */
  files?: FileFigures;
  /** How the mirror stands after the run. */
  quality?: RunQuality;
}

/** How good the mirror is after a run. */
export interface RunQuality {
  /** Tables in the database and their rows, by how their changes are found. */
  byStrategy: Partial<Record<StrategyName, { tables: number; rows: number }>>;
  rows: number;
  /** When the table that is furthest behind was last read without fault: ISO 8601, UTC. */
  oldestSync?: string;
  /** Seconds from then to the run's end: a change that the mirror lacks is no older. */
  ageSeconds?: number;
  /** Tables whose rows were compared with Dataverse's own count, and those that differ. */
  counted: number;
  miscounted: string[];
}
