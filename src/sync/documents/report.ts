/** What a run reports: per table, per round, and for the database and the files. */
import type { StrategyName } from '../../config/strategies.ts';
import type { DatabaseReport, MergeFigures, ReadFigures } from '../../target/state.ts';

/** What a run did with the contents of file and image columns. */
export interface FileFigures {
  fetched: number;
  bytes: number;
  /** Files that could not be fetched. `_files` contains the error, or the next run tries again. */
  failed: number;
  removed: number;
}

/** Two commits of one run as one: the later state, and what both uploaded. */
export function addCommits(
  before: DatabaseReport | undefined,
  database: DatabaseReport | undefined,
): DatabaseReport | undefined {
  if (before === undefined || database === undefined) return database ?? before;
  return {
    ...database,
    stagedBlocks: before.stagedBlocks + database.stagedBlocks,
    stagedBytes: before.stagedBytes + database.stagedBytes,
  };
}

/** What became of one table in one run. */
export interface TableReport extends ReadFigures, MergeFigures {
  name: string;
  table?: string;
  strategy: StrategyName;
  state: 'waiting' | 'fetching' | 'fetched' | 'merged' | 'failed';
  reason?: string;
  /** Why all rows were read again, if they were. */
  reread?: string;
  /** What people should know about the reads of one round, as sentences. They are a part of `reason`. */
  notes?: string[];
  /** Rows in the table after the run; those that are only marked as deleted do not count. */
  rows?: number;
  /** Rows of Dataverse whose keys were compared with the mirror's; absent if no key was. */
  verified?: number;
  /**
   * Rows that the comparison found to differ, apart from ordinary changes. They are brought up to date in the same run.
   * A row that changed between the read of changes and the comparison counts as well.
   */
  corrected?: number;
  /** Rows whose deletes were held back, because `massDeleteLimit` does not allow so many; absent without any. */
  heldBack?: number;
  /** Dataverse's own count at the end of the run, if the run asked for it. */
  dataverseRows?: number;
  /** When the last read of the table without an error began: ISO 8601, UTC. */
  syncedAt?: string;
  error?: string;
  hint?: string;
}

/** Whether something failed in a table: it could not be read, or was merged without all that it should have. */
export const hasFailed = ({ error }: Pick<TableReport, 'error'>): boolean => error !== undefined;

/** The reason of a report with notes that it does not have yet. */
export function withNotes(reason: string | undefined, notes: readonly string[] = []): string {
  const added = [...new Set(notes)].filter((note) => reason?.includes(note) !== true);
  return [...(reason ? [reason] : []), ...added].join('. ');
}

/** `rounds/{n}/merged.json`: what the merge of a round did, and how the run continues. */
export interface MergedRound {
  round: number;
  entities: TableReport[];
  database?: DatabaseReport;
  danglingReferences?: number;
  /** The ids that the next round fetches, by logical name. Without any, `reread` and `postponed`, the run ends. */
  next: Record<string, string[]>;
  /** What showed that Dataverse has moved back in time, for people. */
  movedBack?: string;
  /** The tables that the next round reads again in full, by logical name, each with the reason. */
  reread?: Record<string, string>;
  /** Logical names of tables that wait or take long. A later round merges them. */
  postponed?: string[];
}
