/** `rounds/{n}/plan.json`: what one round reads of each table, and how. */
import type { TableConfig } from '../../config/entities.ts';
import type { QueryOption } from '../../dataverse/read/page.ts';
import type { RequestStats } from '../../dataverse/transport/stats.ts';
import type { Failure } from '../../errors.ts';
import type { Table } from '../../schema/table.ts';
import type { Slice, StrategyRead } from './slice.ts';

export interface TablePlan extends StrategyRead {
  config: TableConfig;
  /** What to read instead if Dataverse refuses `strategy`. */
  fallback?: StrategyRead;
  /** `syncedAt` of the state that the read continues from; absent if the mirror knew no such table. */
  knownAt?: string;
  /** Bytes of a row in JSON, as read before; 0 if the table was empty. */
  rowBytes?: number;
  /** Options of queries that Dataverse rejected lately for this table. */
  omit?: readonly QueryOption[];
  /**
   * The round that fetches the table and when it was planned, if it is an earlier one: the table waited while others were
   * merged. Its messages and slices stay those of that round.
   */
  carried?: { round: number; createdAt: string };
  /** Why the plan reads all rows again; absent if it does not. */
  reread?: string;
  /** Dataverse's count of the rows, if it is the reason to compare all keys early. */
  counted?: number;
  /** What the planning counted for the table, if it tried to read it and could not; for the figures of its first slice. */
  spent?: Partial<RequestStats>;
  /** Why this strategy and this read, for people. */
  reason: string;
}

/** What the rounds of a narrow run know of the tables that the run leaves alone. */
export interface NarrowPlan {
  /** Logical names of the tables that the run was asked for. `entities` has these and the filtered ones they lead to. */
  tables: string[];
  /** Logical names of all tables whose files are mirrored, in order: files of tables outside the run stay. */
  withFiles: string[];
  /** Filtered tables lacked rows, or held too many, before the run. Only a run of all tables settles that. */
  closureOpen: boolean;
}

/** What is fetched together and merged in one commit. */
export interface RoundPlan {
  runId: string;
  round: number;
  createdAt: string;
  /** The metadata version and the configuration that the catalog was made from; the merge stores both in the state. */
  metadataVersion?: string;
  configDigest: string;
  /** The organisation behind the environment, if it is known. */
  organizationId?: string;
  /** When labels and attributes are to be read again, because some are missing: ISO 8601, UTC. */
  labelsAgainAt?: string;
  /** Logical names of all configured tables, also of those that cannot be read now. */
  configured: string[];
  /** Digest of the catalog: `catalogs/{digest}.json` holds the tables by logical name. */
  catalog: string;
  /** Names the schema report that is stored; see plan/validate-schema.ts. */
  schemaReport?: string;
  entities: Record<string, TablePlan>;
  /** Absent from a run of all tables. */
  narrow?: NarrowPlan;
  /** The first slices of tables that the planning has read already, by logical name; see plan/first-slices.ts. */
  slices?: Record<string, Slice>;
}

/** The next slice to fetch of a table of which at most the plan's slice is read; undefined if that ends the table. */
export function sliceAfterPlan({ slices }: RoundPlan, name: string): number | undefined {
  const slice = slices?.[name];
  if (slice === undefined) return 0;
  return slice.next === undefined ? undefined : 1;
}

/** The round whose documents hold what is fetched of a table of this round. */
export function fetchRoundOf({ round, entities }: RoundPlan, name: string): number {
  return entities[name]?.carried?.round ?? round;
}

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
