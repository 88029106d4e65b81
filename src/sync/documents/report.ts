/** What a run reports: per table, per round, and for the database and the files. */
import type { StrategyName } from '../../config/strategies.ts';
import type { ReadFigures } from './slice.ts';

/** What a run did with the contents of file and image columns. */
export interface FileFigures {
  fetched: number;
  bytes: number;
  /** Those that could not be had; `_files` says why, or the next run tries again. */
  failed: number;
  removed: number;
}

export interface DatabaseReport {
  bytes: number;
  stagedBlocks: number;
  stagedBytes: number;
  etag: string;
}

/** What became of one entity in one run. */
export interface TableReport extends ReadFigures {
  name: string;
  table?: string;
  strategy: StrategyName;
  state: 'waiting' | 'fetching' | 'fetched' | 'merged' | 'failed';
  reason?: string;
  added: number;
  updated: number;
  deleted: number;
  /** Rows in the table that this run neither added nor updated. */
  unchanged: number;
  /** Rows in the table after the run; those only kept as deleted do not count. */
  rows?: number;
  /** Dataverse's own count at the run's end, where it was asked. */
  dataverseRows?: number;
  /** When the table was last read without fault: ISO 8601, UTC. */
  syncedAt?: string;
  error?: string;
  hint?: string;
}

/** `rounds/{n}/merged.json`: counts per entity, and where the run goes next. */
export interface MergedRound {
  round: number;
  entities: TableReport[];
  database?: DatabaseReport;
  danglingReferences?: number;
  /** Logical names of the entities that the next round fetches, with the ids; empty ends the run. */
  next: Record<string, string[]>;
}
