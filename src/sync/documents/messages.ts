/** The queues between the functions, and their messages. */
export const planQueue = 'sync-plan';
export const fetchQueue = 'sync-fetch';
export const mergeQueue = 'sync-merge';

/** Requests the plan of a run that has been started. */
export interface PlanMessage {
  runId: string;
}

/** Requests one slice of one table. */
export interface FetchMessage {
  runId: string;
  round: number;
  entity: string;
  slice: number;
}

/** Requests the merge of a round. */
export interface MergeMessage {
  runId: string;
  round: number;
}
