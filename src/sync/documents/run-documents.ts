/**
 * The documents that a run leaves in the work container, and their names.
 * Slices, failures and merge requests are claims: created if absent, never changed afterwards.
 */
import type { TableConfig } from '../../config/entities.ts';
import type { Table } from '../../schema/table.ts';
import type { RunQuality } from '../run/quality.ts';

/** How the changes of a table are found. */
export type Strategy = 'delta' | 'modifiedon' | 'full' | 'linked';

/** `active.json`: which run is live. */
export interface ActiveRun {
  runId: string;
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

/** `catalogs/{digest}.json`: the table models a plan refers to. Content-addressed, so never changed. */
export interface Catalog {
  tables: Record<string, Table>;
  /** Configured tables that cannot be mirrored, with the reason. */
  skipped: Record<string, Failure>;
  /** Configured tables that were mirrored before and that Dataverse no longer has. */
  vanished: string[];
  /** Digest of their labels: `choices/{digest}.json`; absent where there are none. */
  choices?: string;
}

/** Where a slice begins. */
export interface SliceStart {
  strategy: Strategy;
  read: Read;
  part: 'rows' | 'keys';
  /** The next link to follow; absent at the start of a part. */
  link?: string;
  /** Ids already asked for, where `read` is a list of ids. */
  offset?: number;
  /** Why the read is not the planned one. */
  reason?: string;
}

/** Figures of reading; they add up over slices, entities and runs. */
export interface ReadFigures {
  rowsRead: number;
  pages: number;
  requests: number;
  retries: number;
  bytes: number;
  seconds: number;
}

/** `rounds/{n}/{entity}/slices/{k}.json`: the result of one slice. */
export interface Slice extends ReadFigures {
  slice: number;
  start: SliceStart;
  /** The shard's blob; absent where nothing was read. */
  shard?: string;
  shardBytes?: number;
  deleted: number;
  keys: number;
  /** Digest over the rows' keys and versions, and over the swept keys'. */
  digest: string;
  keysDigest: string;
  /** The greatest modifiedon read. */
  maxModifiedOn?: string;
  /** Where the next slice begins; absent at the entity's end. */
  next?: SliceStart;
  /** The delta link that the read ended with. */
  deltaLink?: string;
}

/** `rounds/{n}/{entity}/failed.json` */
export interface Failure {
  error: string;
  hint?: string;
}

/** What became of one entity in one run. */
export interface TableReport extends ReadFigures {
  name: string;
  table?: string;
  strategy: Strategy;
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

/** The message that asks for one slice of one entity. */
export interface FetchMessage {
  runId: string;
  round: number;
  entity: string;
  slice: number;
}

/** The message that asks for the merge of a round. */
export interface MergeMessage {
  runId: string;
  round: number;
}

export const fetchQueue = 'sync-fetch';
export const mergeQueue = 'sync-merge';

/** Names of the documents. */
export const paths = {
  active: 'active.json',
  catalog: (digest: string) => `catalogs/${digest}.json`,
  choices: (digest: string) => `choices/${digest}.json`,
  /** The folders of content-addressed documents. */
  contentFolders: ['catalogs/', 'choices/', 'known-ids/'],
  knownIds: (digest: string) => `known-ids/${digest}.json`,
  run: (runId: string) => `runs/${runId}/run.json`,
  runFolder: (runId: string) => `runs/${runId}/`,
  roundsFolder: (runId: string) => `runs/${runId}/rounds/`,
  plan: (runId: string, round: number) => `runs/${runId}/rounds/${round}/plan.json`,
  slice: (runId: string, round: number, entity: string, slice: number) =>
    `runs/${runId}/rounds/${round}/${entity}/slices/${slice}.json`,
  shard: (runId: string, round: number, entity: string, slice: number, attempt: string) =>
    `runs/${runId}/rounds/${round}/${entity}/shards/${slice}-${attempt}.db`,
  failed: (runId: string, round: number, entity: string) =>
    `runs/${runId}/rounds/${round}/${entity}/failed.json`,
  /** The mark that an entity's last slice is claimed, so that one listing tells whether a round is complete. */
  ended: (runId: string, round: number, entity: string) =>
    `runs/${runId}/rounds/${round}/${entity}/ended.json`,
  /** The last error of an entity's slice, for the poison handler; overwritten freely. */
  lastError: (runId: string, round: number, entity: string) =>
    `runs/${runId}/rounds/${round}/${entity}/last-error.json`,
  mergeRequest: (runId: string, round: number) => `runs/${runId}/rounds/${round}/merge.json`,
  /** The last error of the merge, for the poison handler. */
  mergeError: (runId: string, round: number) => `runs/${runId}/rounds/${round}/merge-error.json`,
  merged: (runId: string, round: number) => `runs/${runId}/rounds/${round}/merged.json`,
} as const;
