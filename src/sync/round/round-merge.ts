import type { TableConfig } from '../../config/entities.ts';
import type { Failure } from '../../errors.ts';
import type { MirrorTransaction } from '../../target/mirror-target.ts';
import type { State, SyncLogRow } from '../../target/state.ts';
import type { Catalog, RoundPlan } from '../documents/plan.ts';
import type { MergedRound, TableReport } from '../documents/report.ts';
import { addFigures } from '../documents/slice.ts';
import type { FetchedRound } from './fetched-round.ts';

/** A round while it is merged, with what the merge finds out. */
export interface RoundMerge extends FetchedRound {
  mirror: MirrorTransaction;
  /** The instant of the merge: ISO 8601, UTC. */
  at: string;
  reports: TableReport[];
  /** Ids that the next round fetches, by logical name. */
  next: Map<string, Set<string>>;
  /** Why tables are to be read again in full, by logical name; see rereads.ts. */
  rereads: Map<string, string>;
  /** What shows that the source has moved back in time, as sentences; see moved-back.ts. */
  signs: string[];
  /** The signs that tables are read again for, in this merge's report. */
  movedBack?: string;
  /** Logical names of the tables that were mirrored as a whole before and are filtered now. */
  becameFiltered: Set<string>;
  /** Logical names of the tables whose rows or schema this round changed. */
  changed: Set<string>;
}

/** Adds ids to those that the next round fetches. */
export function fetchNext({ next }: RoundMerge, name: string, ids: Iterable<string>): void {
  next.set(name, new Set([...(next.get(name) ?? []), ...ids]));
}

/** The share of the table's rows that this run may delete. */
export function massDeleteLimitOf({ services, allowMassDelete }: FetchedRound, config: TableConfig): number {
  if (allowMassDelete.includes(config.name)) return 1;
  return config.massDeleteLimit ?? services.settings.sync.massDeleteLimit;
}

/** How to allow deletes that were held back. */
export function allowMassDeleteHint(name: string): string {
  return `If these deletes are right, allow them once: POST /api/sync with {"allowMassDelete": ["${name}"]}.`;
}

/** What a merge leaves. */
export interface RoundResult {
  merged: MergedRound;
  /** The state as it was saved. */
  state: State;
}

/** How many tables a row of `_sync_log` names. */
const maxNamed = 20;

/** The rows of `_sync_log`: one for each table that changed or has an error, and one for all others together. */
export function logRows(
  { runId, round, createdAt: startedAt, narrow }: RoundPlan,
  reports: readonly TableReport[],
  finishedAt: string,
): SyncLogRow[] {
  const isNarrow = narrow === undefined ? undefined : true;
  const at = { runId, round, startedAt, finishedAt, isNarrow };
  const isQuiet = ({ state, error, added, updated, deleted, corrected = 0 }: TableReport): boolean =>
    state === 'merged' && error === undefined && added + updated + deleted + corrected === 0;
  const rows = reports.filter((report) => !isQuiet(report)).map((report) => ({ ...logRow(report), ...at }));
  const quiet = reports.filter(isQuiet);
  if (quiet.length === 0) return rows;
  const unchanged = quiet.reduce((sum, report) => sum + report.unchanged, 0);
  const count = quiet.length === 1 ? '1 table without changes' : `${quiet.length} tables without changes`;
  // Of a run of all tables, the others are those that are configured.
  const reason = narrow === undefined ? count : `${count}: ${namesOf(quiet)}`;
  const all = { name: '*', state: 'merged', strategy: '*', reason, ...addFigures(quiet) };
  return [...rows, { ...all, added: 0, updated: 0, deleted: 0, unchanged, ...at }];
}

function namesOf(reports: readonly TableReport[]): string {
  const names = reports.map(({ name }) => name).sort();
  const rest = names.length - maxNamed;
  return names.slice(0, maxNamed).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** The members that `_sync_log` has. */
function logRow(
  report: TableReport,
): Omit<SyncLogRow, 'runId' | 'round' | 'startedAt' | 'finishedAt' | 'isNarrow'> {
  const { name, state, strategy, reason, added, updated, deleted, unchanged, error, hint } = report;
  return {
    name,
    state,
    strategy,
    reason,
    ...addFigures([report]),
    added,
    updated,
    deleted,
    unchanged,
    error,
    hint,
  };
}

/**
 * Reports of configured tables that cannot be mirrored: of those that the run was asked for. A table that vanished from
 * Dataverse keeps its rows, and the schema report says so; whoever asked for a run of it is told as well.
 */
export function skippedReports({ skipped, tables }: Catalog, { narrow }: RoundPlan): TableReport[] {
  const asked = narrow?.tables ?? [];
  const vanished = asked.filter((name) => tables[name] === undefined && skipped[name] === undefined);
  const ofRun = [
    ...Object.entries(skipped).filter(([name]) => narrow?.tables.includes(name) !== false),
    ...vanished.map((name) => [name, vanishedFailure(name)] as const),
  ];
  return ofRun.map(([name, failure]) => ({
    name,
    strategy: 'full',
    state: 'failed',
    ...addFigures([]),
    added: 0,
    updated: 0,
    deleted: 0,
    unchanged: 0,
    ...failure,
  }));
}

const vanishedFailure = (name: string): Failure => ({
  error: `Dataverse no longer has the table ${name}.`,
  hint: `The mirror keeps its rows. Restore ${name} in Dataverse, or remove it from entities.json.`,
});
