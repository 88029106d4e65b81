/** `rounds/{n}/plan.json`: what one round reads of each table, and how. */
import type { TableConfig } from '../../config/entities.ts';

/** How the changes of a table are found. */
export type Strategy = 'delta' | 'modifiedon' | 'full' | 'linked';

/** What a read covers: one query and its continuation by links, or a list of ids. */
export type Read =
  /** Every row, with the start of change tracking. */
  | { kind: 'delta-initial' }
  /** What changed since a stored delta link. */
  | { kind: 'delta'; link: string }
  /** Every row. */
  | { kind: 'all' }
  /** Rows modified at or after `since`, which is the watermark less the overlap. */
  | { kind: 'modifiedon'; since: string }
  /** The rows with these ids; those not returned are gone. */
  | { kind: 'ids'; ids: string[] }
  /** Keys and versions of the ids of a `linked` entity that the database holds, or their whole rows. */
  | { kind: 'known'; whole?: true };

/** Whether a read returns every row of the table, so that rows absent from it are deleted rows. */
export function isComplete(read: Read): boolean {
  return read.kind === 'delta-initial' || read.kind === 'all';
}

export interface TablePlan {
  config: TableConfig;
  strategy: Strategy;
  /** What slice 0 begins with. */
  read: Read;
  /** Where to go when change tracking refuses: the strategy and its read. */
  fallback?: { strategy: Strategy; read: Read };
  /** Read all keys with their versions after the rows, and compare. */
  sweep: boolean;
  /** For `known`: which list of ids; see known-ids.ts. */
  knownIds?: string;
  /** Why this strategy and this read, for people. */
  reason: string;
}

/** `rounds/{n}/plan.json`: what is fetched together and merged in one commit. */
export interface RoundPlan {
  runId: string;
  round: number;
  createdAt: string;
  /** What the catalog was made from; goes into the state with the merge. */
  metadataVersion?: string;
  configDigest: string;
  /** Digest of the catalog: `catalogs/{digest}.json` holds the tables by logical name. */
  catalog: string;
  entities: Record<string, TablePlan>;
}
