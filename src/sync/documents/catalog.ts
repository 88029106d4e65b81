import type { Failure } from '../../errors.ts';
import type { Table } from '../../schema/table.ts';

/** `catalogs/{digest}.json`: the table models that a plan refers to. Named by a digest of its content. */
export interface Catalog {
  /** `modelVersion` of the version of the app that made it; absent from those of versions before that. */
  modelVersion?: number;
  /** By logical name. */
  tables: Record<string, Table>;
  /** Configured tables that cannot be mirrored, with the reason. */
  skipped: Record<string, Failure>;
  /** The entity definitions could not be read, so the models are made from `$metadata` alone. */
  withoutDefinitions?: true;
  /** Digest of their labels, which are in `choices/{digest}.json`; absent if there are none. */
  choices?: string;
}
