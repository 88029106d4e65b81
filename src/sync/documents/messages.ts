/** The queues between the functions, and their messages. */
export const fetchQueue = 'sync-fetch';
export const mergeQueue = 'sync-merge';

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
