import type { RequestStats } from '../../dataverse/transport/stats.ts';

/** The queues between the functions, and their messages. */
export const planQueue = 'sync-plan';
export const fetchQueue = 'sync-fetch';
export const mergeQueue = 'sync-merge';
export const checkQueue = 'sync-verify';
export const changesQueue = 'sync-changes';
export const exportQueue = 'sync-export';

/** Requests the plan of a run that has been started. */
export interface PlanMessage {
  runId: string;
}

/** How long a slice waits, as its message carries it. */
export interface Wait {
  /** When the slice was first asked to wait: ISO 8601, UTC. */
  since: string;
  /** When it continues: ISO 8601, UTC. */
  until: string;
  /** What its attempts counted until now, for the figures of the slice. */
  spent?: Partial<RequestStats>;
}

/** Requests one slice of one table. */
export interface FetchMessage {
  runId: string;
  round: number;
  entity: string;
  slice: number;
  /** How long the slice waits, if Dataverse asked to. */
  waiting?: Wait;
}

/** Requests the merge of a round. */
export interface MergeMessage {
  runId: string;
  round: number;
  /** Merge the tables that are fetched if all others wait or take long, and let those continue in the next round. */
  early?: true;
}

/** Requests one step of a check of the mirror. */
export interface CheckMessage {
  checkId: string;
  step: number;
}

/** Requests the export of what changed to the lake. */
export interface ExportMessage {
  /** The run that changed it. */
  runId: string;
}

/** Requests a run of the tables that have changed in Dataverse. */
export interface ChangesMessage {
  wakeId: string;
}
