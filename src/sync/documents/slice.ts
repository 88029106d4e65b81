/** `rounds/{n}/{entity}/slices/{k}.json`: a claim, created if absent and never changed afterwards. */
import type { Read, Strategy } from './plan.ts';

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
