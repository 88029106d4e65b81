/** The check of a whole mirror, in steps: what a step passes on to the next one, and the result. Plain data. */

/** How far a check is. A step continues from it, in any process. */
export interface CheckProgress {
  /** First all pages are read, then references are counted. */
  phase: 'pages' | 'references';
  /** Bytes of the database that were read and are still present, and its size. */
  bytes: { done: number; total: number };
  /** Foreign keys, or tables with several, whose references are counted. */
  references: { done: number; total: number };
  /** How often parts were read again because a run had committed meanwhile. */
  catchUps: number;
  /** Whether the step stored a checkpoint, which the next one needs. */
  hasCheckpoint: boolean;
  /** With several database files: the one that is being checked. */
  database?: string;
  /** What was found in others. */
  checked?: { database: string; result: CheckResult }[];
  /** What the pages showed. */
  pages?: PagesResult;
  counted?: ReferenceCounts;
}

/** Where a step keeps what is too large for a document. */
export interface Checkpoint {
  load(): Promise<Buffer | undefined>;
  save(bytes: Uint8Array): Promise<void>;
}

export interface CheckOptions {
  /** When the check began: ISO 8601, UTC. */
  startedAt: string;
  checkpoint: Checkpoint;
  /** Whether the step is to end as soon as it can. It does some work in any case. */
  isTimeOver: () => boolean;
}

export interface CheckStep {
  progress: CheckProgress;
  /** The check is complete. */
  result?: CheckResult;
}

/** A fault of the database's file. */
export interface DatabaseFault {
  /** The database, if there are several. */
  database?: string;
  /** The table in the database; absent if the fault is not of a table. */
  table?: string;
  text: string;
}

/** A table whose kept row count is not that of its rows. */
export interface Miscount {
  /** Logical name. */
  table: string;
  /** The count in the state of the mirror. */
  kept: number;
  /** The rows that the table has. */
  counted: number;
}

export interface PagesResult {
  /** The state of the database that was checked. */
  database: { etag: string; bytes: number };
  tables: number;
  /** The pages of the file, and those of them that are free. */
  pages: number;
  freePages: number;
  /** The first faults. */
  faults: DatabaseFault[];
  faultCount: number;
  /** Empty if there are faults. */
  miscounted: Miscount[];
}

/** Behind this row of a table; behind this id of an index, or behind one of its rows. */
export type ReferencePlace = number | string | { id: string; row: number };

/** Counts of references whose target is absent, as far as they are. */
export interface ReferenceCounts {
  /** Names of what is counted: foreign keys, and tables. */
  done: string[];
  /** What is being counted: everything up to `after` is in the counts. */
  current?: { name: string; after: ReferencePlace; etag: string; rows: number };
  /** By foreign key. */
  dangling: Record<string, number>;
  /** The foreign keys with such references. */
  keys: Record<string, DanglingKey>;
  /** Tables with rows that are marked as deleted: their kept counts are compared with the rows that are not. */
  miscounted: Miscount[];
  /** Logical names of tables that changed while their rows were counted. */
  uncounted: string[];
}

export interface CheckResult extends PagesResult {
  /** Absent if the file is damaged: then no references are counted. */
  danglingReferences?: number;
  foreignKeys?: DanglingKey[];
  /** Logical names of tables whose rows could not be compared with their count, because they changed. */
  uncounted: string[];
}

/** A foreign key with references to rows that the mirror lacks. */
export interface DanglingKey {
  table: string;
  column: string;
  /** The mirrored tables that the column may point to. */
  targets: string[];
  /** Rows whose target is absent. */
  count: number;
  /** Up to ten of them: the row's id, and the id that it refers to. */
  examples: { row: string; target: string }[];
}
