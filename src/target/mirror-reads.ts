import type { Table } from '../schema/table.ts';

/** A change that a sync made to the schema of the mirror, as `_sync_schema_changes` has it. */
export interface SchemaChangeLine {
  /** ISO 8601, UTC. */
  at: string;
  /** The name of the table in the mirror. */
  table_name: string;
  column_name: string | null;
  change: string;
  detail: string;
}

/** What Dataverse calls a table or a column of the mirror. */
export interface DisplayName {
  /** Null for the table itself. */
  column_name: string | null;
  display_name: string | null;
  description: string | null;
}

/** Which rows of a table are read, and which of their columns. */
export interface NewestRows {
  columns: readonly string[];
  /** The column of an instant, whose newest come first. */
  by: string;
  /** Rows before it are left out. */
  since: Date;
  limit: number;
}

/**
 * What pages read from the mirror itself, beside the documents of runs. Each call sees the newest state. All of them throw
 * RetriableError.
 */
export interface MirrorReads {
  /** Names the newest state; undefined if there is no mirror. @param database that has the table, of several files */
  etag(database: string | undefined): Promise<string | undefined>;
  /**
   * The latest changes of the schema, newest first.
   * @param databases the files that are asked; ignored where the mirror is one
   * @param table one table
   */
  schemaChanges(
    limit: number,
    databases: readonly (string | undefined)[],
    table?: Pick<Table, 'name'>,
  ): Promise<SchemaChangeLine[]>;
  /** What Dataverse calls a table and its columns. */
  displayNames(table: Pick<Table, 'name' | 'database'>): Promise<DisplayName[]>;
  /**
   * Rows that are not marked as deleted. Numbers are numbers, instants are ISO 8601 in UTC.
   * @returns undefined if there is no mirror
   */
  newestRows(
    table: Table,
    options: NewestRows,
  ): Promise<Record<string, string | number | bigint | Uint8Array | null>[] | undefined>;
}
