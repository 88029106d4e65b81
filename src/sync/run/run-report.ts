import { unlessDamaged } from '../../storage/document-store.ts';
import { paths } from '../documents/paths.ts';
import { fetchRoundOf, type RoundPlan } from '../documents/plan.ts';
import { type Progress, progressIn } from '../documents/progress-tracker.ts';
import { addCommits, type TableReport, withNotes } from '../documents/report.ts';
import type { RunDocument } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { addFigures, type Slice } from '../documents/slice.ts';
import { latestRound } from './resume-run.ts';

export interface RunReport extends Pick<RunDocument, 'database' | 'danglingReferences'> {
  rounds: number;
  /** In the order of entities.json. */
  entities: TableReport[];
}

/** What a run did or does, from its documents. */
export async function runReport(services: SyncServices, runId: string): Promise<RunReport> {
  const { documents } = services;
  const report: RunReport = { rounds: 0, entities: [] };
  if ((await documents.plan(runId, 1)) === undefined) return report;
  report.rounds = await latestRound(services, runId);
  const tables = new Map<string, TableReport>();
  for (let round = 1; round <= report.rounds; round++) {
    const plan = (await documents.plan(runId, round))!;
    const merged = await documents.merged(runId, round);
    for (const table of merged?.entities ?? (await fetchReports(services, plan))) {
      tables.set(table.name, addRound(tables.get(table.name), table));
    }
    report.database = addCommits(report.database, merged?.database);
    report.danglingReferences = merged?.danglingReferences ?? report.danglingReferences;
  }
  report.entities = [...tables.values()].map(({ notes: _, ...table }) => table);
  return report;
}

/**
 * The reports of a round that is not merged yet. One listing of the round shows which documents exist; those that this
 * process has read before cost nothing.
 */
async function fetchReports(services: SyncServices, roundPlan: RoundPlan): Promise<TableReport[]> {
  const { runId, entities } = roundPlan;
  const { documents, work } = services;
  const names = new Set<string>();
  const roundOf = (entity: string): number => fetchRoundOf(roundPlan, entity);
  for (const round of new Set([roundPlan.round, ...Object.keys(entities).map(roundOf)])) {
    for await (const { name } of work.list(paths.roundFolder(runId, round))) names.add(name);
  }
  const slicesOf = async (entity: string): Promise<Slice[]> => {
    const round = roundOf(entity);
    const slices: Slice[] = [];
    const isPlanned = (await documents.plan(runId, round))?.slices?.[entity] !== undefined;
    while (
      (isPlanned && slices.length === 0) ||
      names.has(paths.slice(runId, round, entity, slices.length))
    ) {
      const slice = await documents.slice(runId, round, entity, slices.length);
      // The run has ended meanwhile.
      if (slice === undefined) break;
      slices.push(slice);
    }
    return slices;
  };
  const progressOf = async (entity: string, round: number, slice: number): Promise<Progress | undefined> => {
    const own = services.progress.get(runId, round, entity);
    const path = paths.progress(runId, round, entity);
    const stored = !own && names.has(path) && (await unlessDamaged(work.read(path)));
    const progress = own ?? progressIn(stored ? stored.value : undefined);
    // That of an earlier slice is in the figures of that slice.
    return progress?.slice === slice ? progress : undefined;
  };
  return Promise.all(
    Object.entries(entities).map(async ([name, plan]): Promise<TableReport> => {
      const round = roundOf(name);
      const slices = await slicesOf(name);
      const hasFailed = names.has(paths.failed(runId, round, name));
      const failure = hasFailed ? await documents.failure(runId, round, name) : undefined;
      const last = slices.at(-1);
      const isFetched = last !== undefined && last.next === undefined;
      const progress = isFetched ? undefined : await progressOf(name, round, slices.length);
      const isBegun = last !== undefined || progress !== undefined;
      const figures = addFigures(slices);
      return {
        name,
        strategy: last?.start.strategy ?? plan.strategy,
        state: failure ? 'failed' : isFetched ? 'fetched' : isBegun ? 'fetching' : 'waiting',
        reason: plan.reason,
        reread: plan.reread,
        ...figures,
        rowsRead: figures.rowsRead + (progress?.rowsRead ?? 0),
        pages: figures.pages + (progress?.pages ?? 0),
        bytes: figures.bytes + (progress?.bytes ?? 0),
        added: 0,
        updated: 0,
        deleted: 0,
        unchanged: 0,
        ...failure,
      };
    }),
  );
}

/** A table's rounds as one report: figures add up, the rest is of the latest round. */
function addRound(before: TableReport | undefined, now: TableReport): TableReport {
  if (before === undefined) return now;
  // What an earlier round added or updated is not unchanged for the run.
  const unchanged =
    now.state === 'merged' ? Math.max(0, now.unchanged - before.added - before.updated) : before.unchanged;
  return {
    ...before,
    ...addFigures([before, now]),
    state: before.state === 'failed' ? 'failed' : now.state,
    // A read of all rows says more than the one that led to it.
    reason: now.reread === undefined ? withNotes(before.reason, now.notes) : now.reason,
    reread: now.reread ?? before.reread,
    added: before.added + now.added,
    updated: before.updated + now.updated,
    deleted: before.deleted + now.deleted,
    unchanged,
    verified: addIfAny(before.verified, now.verified),
    corrected: addIfAny(before.corrected, now.corrected),
    heldBack: addIfAny(before.heldBack, now.heldBack),
    error: now.error ?? before.error,
    hint: now.hint ?? before.hint,
  };
}

function addIfAny(before: number | undefined, now: number | undefined): number | undefined {
  return before === undefined ? now : before + (now ?? 0);
}
