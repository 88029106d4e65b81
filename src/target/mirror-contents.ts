import type { Table } from '../schema/table.ts';
import type { Labels } from './labels.ts';
import type { State } from './state.ts';

/** A value as a SQLite mirror has it: what all targets can be told. Integers that are not exact as numbers are bigints. */
export type MirrorValue = string | number | bigint | Uint8Array | null;

/** Tables of a mirror that are taken over as they are, besides those of Dataverse and their histories. */
export const takenLists = ['_sync_log', '_sync_schema_changes', '_sync_deleted', '_files'] as const;

/** All that a mirror holds in one state, for another target to take over with its cursors. */
export interface MirrorContents {
  state: State;
  labels: Labels | undefined;
  /** The files that the mirror is in; undefined stands for the default one, or for a mirror that is none. */
  databases: readonly (string | undefined)[];
  /** The name of the table with the history of a table, whether there is one or not. */
  historyName(table: Pick<Table, 'name'>): string;
  /**
   * The columns of a table, in their order, and whether values of several types stand in one; empty if there is no such
   * table. @param database that has it, of several files
   */
  columns(
    table: string,
    database?: string | undefined,
  ): Promise<readonly { name: string; isMixed: boolean }[]>;
  /** The rows of a table in the order in which they are stored, some at a time. */
  rows(
    table: string,
    columns: readonly string[],
    database?: string | undefined,
  ): AsyncIterable<readonly (readonly MirrorValue[])[]>;
  close(): Promise<void>;
}
