import type { Failure } from '../../errors.ts';
import type { Table } from '../../schema/table.ts';

/** `catalogs/{digest}.json`: the table models a plan refers to. Content-addressed, so never changed. */
export interface Catalog {
  tables: Record<string, Table>;
  /** Configured tables that cannot be mirrored, with the reason. */
  skipped: Record<string, Failure>;
  /** Configured tables that were mirrored before and that Dataverse no longer has. */
  vanished: string[];
  /** Digest of their labels: `choices/{digest}.json`; absent where there are none. */
  choices?: string;
}
