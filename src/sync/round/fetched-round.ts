import type { Failure } from '../../errors.ts';
import type { TableState } from '../../target/state.ts';
import { type Catalog, fetchRoundOf, type RoundPlan } from '../documents/plan.ts';
import { type TableReport, withNotes } from '../documents/report.ts';
import { takesLong } from '../documents/request-merge.ts';
import type { RereadRequest, RunDocument } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { addFigures } from '../documents/slice.ts';
import { readWaiting } from '../documents/waiting.ts';
import { type FetchedTable, finalStart } from '../strategies/fetched-table.ts';
import { readingOf } from '../strategies/registry.ts';

/** A round that is fetched, with all documents that its merge needs. */
export interface FetchedRound {
  services: SyncServices;
  plan: RoundPlan;
  catalog: Catalog;
  tables: readonly FetchedTable[];
  /** Logical names of tables that wait or take long: a later round merges them. */
  postponed: readonly string[];
  /** Logical names of the tables that may lose rows beyond `massDeleteLimit` in this run. */
  allowMassDelete: readonly string[];
  /** The tables that the run was asked to read again. */
  reread?: RereadRequest;
  /** Logical names of tables to drop, unless they are configured. */
  dropTables: readonly string[];
}

/**
 * Reads what a round fetched; undefined while a table has neither ended nor failed.
 * @param run as it was when the merge began: no start adds to what it was asked for after that
 * @param options `early`: without the tables that wait, and without any others if the round takes long; undefined if
 * there is none to merge
 */
export async function readFetchedRound(
  services: SyncServices,
  plan: RoundPlan,
  run: RunDocument | undefined,
  options: { early?: boolean } = {},
): Promise<FetchedRound | undefined> {
  const { documents } = services;
  const { runId } = plan;
  const tables: FetchedTable[] = [];
  const postponed: string[] = [];
  const isLong = takesLong(services, plan);
  for (const [name, tablePlan] of Object.entries(plan.entities)) {
    const round = fetchRoundOf(plan, name);
    const slices = await documents.slices(runId, round, name);
    const ended = slices.length > 0 && slices.at(-1)!.next === undefined;
    const failure = ended ? undefined : await documents.failure(runId, round, name);
    if (!ended && failure === undefined) {
      if (!options.early) return undefined;
      if (!isLong && (await readWaiting(services, runId, round, name)) === undefined) return undefined;
      postponed.push(name);
      continue;
    }
    tables.push({ name, plan: tablePlan, slices, failure });
  }
  if (tables.length === 0 && postponed.length > 0) return undefined;
  const catalog = await documents.catalog(plan.catalog);
  const { allowMassDelete = [], dropTables = [], reread } = run ?? {};
  return { services, plan, catalog, tables, postponed, allowMassDelete, reread, dropTables };
}

/** The report of a table before its merge. */
export function fetchReport({ name, plan, slices, failure }: FetchedTable): TableReport {
  const last = slices.at(-1);
  const keys = slices.reduce((sum, slice) => sum + slice.keys, 0);
  const notes = slices.flatMap((slice) => slice.notes ?? []);
  return {
    name,
    strategy: last?.start.strategy ?? plan.strategy,
    state: failure === undefined ? 'fetched' : 'failed',
    reason: withNotes(last?.start.reason ?? plan.reason, notes),
    ...(notes.length > 0 && { notes }),
    reread: plan.reread,
    ...addFigures(slices),
    added: 0,
    updated: 0,
    deleted: 0,
    unchanged: 0,
    verified: keys > 0 ? keys : undefined,
    ...failure,
  };
}

/** What an earlier comparison of the table left open, unless this read settles it. */
export function openFailure(known: TableState | undefined, fetched: FetchedTable): Failure | undefined {
  const { uncompared } = known ?? {};
  if (uncompared === undefined) return undefined;
  const start = finalStart(fetched);
  const reading = readingOf(start);
  if (reading.isComplete(start.read) || reading.comparedKeys(start.read) !== undefined) return undefined;
  const { error, hint } = uncompared;
  return { error, hint };
}
