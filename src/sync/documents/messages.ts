/** The queues between the functions and their messages. */
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
