/** What changed in the mirror, for what copies it elsewhere. */
import type { Table } from '../schema/table.ts';

/**
 * A state of the rows. The number grows with each commit that changed rows; the token tells two commits with the same number
 * apart, of which one was undone by a restore.
 */
export interface ChangePoint {
  generation: number;
  token: string;
}

/** Whether a transaction notes which rows it changes; `off`: what earlier ones noted is dropped. */
export type Tracking = 'off' | { exported: Readonly<Record<string, ChangePoint>> };

/** What a table has since a point: nothing, some rows that changed, or all of them, because the point says nothing here. */
export type News = 'none' | 'some' | 'all';

export interface TableNews {
  table: Table;
  latest: ChangePoint;
  news: News;
}

/** What the mirror has since some points. */
export interface MirrorNews {
  /** The ETag of the state. */
  etag: string;
  tables: TableNews[];
  /**
   * The databases that were found, as tables name them; undefined is the default one. Tables of another one can be there
   * although `tables` lacks them. Absent if there is one database only.
   */
  databases?: (string | undefined)[];
}

export interface RowsRequest {
  /** The table as the caller knows it. */
  table: Table;
  /**
   * `all`: all rows, but for those that changed after the generation. `changed`: rows that changed last in a generation after
   * `after` and not after `upTo`.
   */
  rows: { all: { upTo: number } } | { changed: { after: number; upTo: number } };
  /** `next` of the page before; undefined for the first one. */
  from?: string | undefined;
  /** `next` of an earlier read: the last page ends there. */
  until?: string | undefined;
  maxRows: number;
}

/** As SQLite has the values, or as PostgreSQL writes them; integers are texts, because they can exceed 2^53. */
export type RowValue = string | number | Uint8Array | null;

export interface ChangedRow {
  id: string;
  /** In the order of `columns`; absent if the mirror does not have the row, or marks it as deleted. */
  values?: RowValue[];
}

/** Rows of one state of the mirror. */
export interface RowsPage {
  /** The table as the mirror has it now. */
  table: Table;
  rows: ChangedRow[];
  /** Where the next page begins; absent after the last one. */
  next?: string;
}
