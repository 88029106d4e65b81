/**
 * What is known about each mirrored table between runs. The truth is `_sync_state` in the database;
 * `state.json` beside it is its cache, so that a run in which nothing changed needs no database bytes.
 */
import type { StrategyName } from '../../config/strategies.ts';
import type { Table } from '../../schema/table.ts';
import type { TableReport } from './report.ts';

export interface TableState {
  /** The table as it stands in the database. */
  table: Table;
  strategy: StrategyName;
  /** The delta link to read from next. */
  deltaLink?: string;
  /** The greatest modifiedon seen. */
  watermark?: string;
  /** Digest of the rows at or after `from`: a read of the same window with the same digest brings nothing new. */
  window?: { from: string; digest: string };
  /** Digest of the whole table's keys and versions as Dataverse showed them last. */
  contentDigest?: string;
  rows: number;
  /** Runs since all keys were compared. */
  runsSinceSweep: number;
  /** When Dataverse was last read for this table without fault: ISO 8601, UTC. */
  syncedAt: string;
  /** Dataverse refused a better strategy: the reason, and when to try it again. */
  fallback?: { reason: string; until: string };
  /** Of a filtered table: the name of the list of ids that the database holds; see stored-ids.ts. */
  storedIds?: string;
}

/** One row of `_sync_log`. */
export interface SyncLogRow extends TableReport {
  runId: string;
  round: number;
  startedAt: string;
  finishedAt: string;
}

export interface State {
  /** The ETag of the database that this describes; undefined while there is no database. */
  databaseEtag?: string;
  databaseBytes?: number;
  /** The cheap signal that `$metadata` is unchanged, with the digest of the catalog made from it. */
  metadataVersion?: string;
  catalog?: string;
  /** Digest of entities.json as it was when the catalog was made. */
  configDigest?: string;
  /** Digest of the labels in `_choices`. */
  choices?: string;
  /** Whose files are kept, and the ETag of the database when every content was there. */
  files?: { entities: string[]; etag?: string };
  /** Filtered tables lack rows, or hold too many: an entity failed, or a run was given up before its last round. */
  closureOpen?: boolean;
  entities: Record<string, TableState>;
  /** Log rows of runs that changed nothing; the next commit takes them into the database. */
  pendingLog: SyncLogRow[];
}

export const emptyState = (): State => ({ entities: {}, pendingLog: [] });

export const stateName = 'state.json';

/** The state with the ETag of `state.json`, undefined where that does not exist. */
export interface LoadedState {
  state: State;
  etag: string | undefined;
}
