/** `rounds/{n}/{entity}/slices/{k}.json`: what one invocation read of a table. Created if absent, then never changed. */
import type { StrategyName } from '../../config/strategies.ts';
import type { QueryOption } from '../../dataverse/read/page.ts';
import type { Failure } from '../../errors.ts';
import type { ReadFigures } from '../../target/state.ts';

/** What one read covers. Its other members belong to the code in strategies/ that made it. */
export interface Read {
  readonly kind: string;
}

/** A read and the strategy that it belongs to. */
export interface StrategyRead {
  strategy: StrategyName;
  read: Read;
}

/** What a read has received by now, over all its slices. */
export interface ReadSize {
  pages: number;
  /** Rows, keys and deletes. */
  records: number;
  /** Bytes of JSON. */
  bytes: number;
}

/** A position in a read: where a slice starts, and where the next one continues. */
export interface SliceStart<R extends Read = Read> extends StrategyRead {
  read: R;
  /** Of a read that compares all keys: `rows` first, then `keys`. Other reads have `rows` only. */
  part: 'rows' | 'keys';
  /** The next link to follow; absent at the start of a part. */
  link?: string;
  /** How many ids of a list were read already, for a read that goes through one. */
  offset?: number;
  /** Ids to read after the list: those that rows read by id refer to. */
  pending?: readonly string[];
  /** Rows per page. It stays the same within a read, because links repeat the request. */
  pageSize?: number;
  /** What the read has received before; absent at its start. */
  soFar?: ReadSize;
  /** Why the read is not the planned one. */
  reason?: string;
  /** The read was to compare all rows, and could not: the error. Its changes are read without. */
  uncompared?: Failure;
  /** The error behind `reason` may pass: the planned read is tried again soon. */
  isDoubtful?: boolean;
}

export function addFigures(figures: readonly ReadFigures[]): Required<ReadFigures> {
  const sum = {
    ...{ rowsRead: 0, pages: 0, requests: 0, retries: 0, bytes: 0, seconds: 0 },
    ...{ throttled: 0, waitedSeconds: 0, wireBytes: 0 },
  };
  for (const one of figures) {
    for (const name of Object.keys(sum) as (keyof ReadFigures)[]) sum[name] += one[name] ?? 0;
  }
  return sum;
}

export interface Slice extends ReadFigures {
  slice: number;
  start: SliceStart;
  /** The shard's blob; absent if nothing was read. */
  shard?: string;
  shardBytes?: number;
  deleted: number;
  /** Rows of which only the key was read. */
  keys: number;
  /** Digest over keys and versions, of whole rows and of rows of which only the key was read. */
  digest: string;
  keysDigest: string;
  /** Digest over the whole rows as Dataverse sent them; absent under change tracking, which needs none. */
  valuesDigest?: string;
  /** Bytes of whole rows in JSON. Absent from earlier versions. */
  rowBytes?: number;
  /** Options of the query that Dataverse rejected, so that the slice was read without them. */
  refused?: QueryOption[];
  /** Ids that rows of the read refer to and that Dataverse does not have. */
  absent?: string[];
  /** What people should know about the read, as sentences. */
  notes?: string[];
  /** Dataverse's time before it read the slice's first page: ISO 8601, UTC. Absent if Dataverse does not state its time. */
  readAt?: string;
  /** The greatest modifiedon read. */
  maxModifiedOn?: string;
  /** The greatest row version read, of whole rows and of keys. Absent from earlier versions, and if no version is a number. */
  maxVersion?: string;
  /** Where the next slice starts; absent in the table's last slice. */
  next?: SliceStart;
  /** The delta link that the read ended with. */
  deltaLink?: string;
}
