import type { TableConfig } from '../../config/entities.ts';
import type { Settings } from '../../config/settings.ts';
import type { Table } from '../../schema/table.ts';
import type { TableMerge } from '../../target/mirror-target.ts';
import type { TableState } from '../../target/state.ts';
import type { Read, SliceStart } from '../documents/slice.ts';
import type { FetchedTable, MergeOutcome } from './fetched-table.ts';
import type { RowReader } from './row-reader.ts';

/** How one kind of read goes. The functions know nothing but their arguments, so any instance can continue a read. */
export interface Reading<R extends Read = Read> {
  /** Reads the next page or batch. Returns where to continue; undefined at the end of the table. */
  advance(position: SliceStart<R>, reader: RowReader): Promise<SliceStart | undefined>;
  /**
   * What to read instead after an error; undefined if the error is to be thrown.
   * @param isStuck whether another try at this position will hardly succeed
   */
  afterError?(
    position: SliceStart<R>,
    error: unknown,
    reader: RowReader,
    isStuck: boolean,
  ): SliceStart | undefined;
  /**
   * Called once all rows are read, before the slice that ends them is stored and before the keys of a sweep are read: keys
   * must be later than every row, or an older version of a key would look like a source that moved back.
   */
  finish?(read: R, reader: RowReader): Promise<void>;
  /** Whether the read returns every row, so that rows absent from it are deleted rows. */
  isComplete(read: R): boolean;
  /** The ids whose keys the read compares with Dataverse: all of the table, those of the list of this name, or none. */
  comparedKeys(read: R): ComparedKeys;
  /** The same read with a comparison of all keys, if deletes show in no other way. */
  withComparison?(read: R): R;
  /** Whether it compares the columns, too, whose values change without a new version. */
  comparesValues(read: R): boolean;
  /** How many of the differences that the comparison found are not ordinary changes. Without it: none. */
  corrected?(found: Differences): number;
  /** Whether the read alone shows, without a look at the database, that nothing changed since `known`. */
  broughtNothing(known: TableState, read: R, fetched: FetchedTable): boolean;
}

export type ComparedKeys = 'all' | { list: string } | undefined;

/** What a comparison of keys with the mirror found. */
export type Differences = Pick<TableMerge, 'outdatedIds' | 'otherValues' | 'absent'>;

/**
 * How the changes of one table are found. To add a strategy, write it in a file of this folder, name it in
 * config/strategies.ts, and register it in registry.ts, which does not compile without it.
 */
export interface Strategy<R extends Read = Read> extends Reading<R> {
  /** Why a table that allows it is read this way, for people. */
  readonly reason: string;
  /** Whether the mirror holds all rows of the table, so that it must have as many as Dataverse counts. */
  readonly wholeTable: boolean;
  /** Why the table cannot be read this way now; undefined if it can. */
  refusal(context: PlanContext): string | undefined;
  /** What this run reads. */
  plan(context: PlanContext): R;
  /** Where the next run continues, once the rows are in the database. */
  cursor(merged: MergedRead<R>): Promise<Cursor>;
}

/** What the plan of a table follows from. */
export interface PlanContext {
  config: TableConfig;
  table: Table;
  /** What the last commit stored about the table. */
  state: TableState | undefined;
  /** Why all rows must be read again (a new column, a rebuilt one): no cursor holds then. */
  rereadReason: string | undefined;
  /** Whether this run may delete more rows of the table than the limit allows. */
  allowsMassDelete: boolean;
  /** Whether the run is of some tables alone. */
  isNarrow?: boolean;
  settings: Settings['sync'];
  now: Date;
}

export interface MergedRead<R extends Read> {
  known: TableState | undefined;
  /** Undefined if only single rows were read again by id, which moves no cursor. */
  read: R | undefined;
  fetched: FetchedTable;
  outcome: MergeOutcome;
  /** The greatest modifiedon that was read, at most the time at which the read began. */
  watermark: string | undefined;
  settings: Settings['sync'];
}

/** The part of a table's state that belongs to its strategy. */
export type Cursor = Pick<
  TableState,
  | 'deltaLink'
  | 'watermark'
  | 'window'
  | 'contentDigest'
  | 'valuesDigest'
  | 'sweepAgain'
  | 'storedIds'
  | 'absentIds'
>;
