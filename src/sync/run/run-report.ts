import type { RoundPlan } from '../documents/plan.ts';
import type { DatabaseReport, TableReport } from '../documents/report.ts';
import type { RunDocument } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { addFigures } from '../documents/slice.ts';
import { latestRound } from './resume-run.ts';

/** What a run did or does, from its documents: the entities in the order of entities.json. */
export async function runReport(
  services: SyncServices,
  runId: string,
): Promise<Pick<RunDocument, 'rounds' | 'entities' | 'database' | 'danglingReferences'>> {
  if ((await services.documents.plan(runId, 1)) === undefined) return { rounds: 0, entities: [] };
  const rounds = await latestRound(services, runId);
  const entities = new Map<string, TableReport>();
  let database: DatabaseReport | undefined;
  let danglingReferences: number | undefined;
  for (let round = 1; round <= rounds; round++) {
    const plan = (await services.documents.plan(runId, round))!;
    const merged = await services.documents.merged(runId, round);
    const reports = merged?.entities ?? (await progressOf(services, plan));
    for (const report of reports) entities.set(report.name, together(entities.get(report.name), report));
    database = addCommits(database, merged?.database);
    danglingReferences = merged?.danglingReferences ?? danglingReferences;
  }
  return {
    rounds,
    entities: [...entities.values()],
    ...(database === undefined ? {} : { database }),
    ...(danglingReferences === undefined ? {} : { danglingReferences }),
  };
}

/** The reports of a round that is not merged yet. */
async function progressOf(services: SyncServices, plan: RoundPlan): Promise<TableReport[]> {
  const { runId, round } = plan;
  return Promise.all(
    Object.entries(plan.entities).map(async ([name, entity]): Promise<TableReport> => {
      const slices = await services.documents.slices(runId, round, name);
      const failure = await services.documents.failure(runId, round, name);
      const running = services.progress.get(runId, round, name);
      const figures = addFigures(slices);
      const last = slices.at(-1);
      const ended = last !== undefined && last.next === undefined;
      const begun = slices.length > 0 || running !== undefined;
      return {
        name,
        strategy: last?.start.strategy ?? entity.strategy,
        state: failure ? 'failed' : ended ? 'fetched' : begun ? 'fetching' : 'waiting',
        reason: entity.reason,
        ...figures,
        rowsRead: figures.rowsRead + (ended ? 0 : (running?.rowsRead ?? 0)),
        pages: figures.pages + (ended ? 0 : (running?.pages ?? 0)),
        bytes: figures.bytes + (ended ? 0 : (running?.bytes ?? 0)),
        added: 0,
        updated: 0,
        deleted: 0,
        unchanged: 0,
        ...failure,
      };
    }),
  );
}

/** An entity's rounds as one line: figures add up, the rest is the latest's. */
function together(before: TableReport | undefined, now: TableReport): TableReport {
  if (before === undefined) return now;
  const merged = now.state === 'merged';
  return {
    ...before,
    ...addFigures([before, now]),
    state: before.state === 'failed' ? 'failed' : now.state,
    added: before.added + now.added,
    updated: before.updated + now.updated,
    deleted: before.deleted + now.deleted,
    // What an earlier round added or updated is not "unchanged" for the run.
    unchanged: merged ? Math.max(0, now.unchanged - before.added - before.updated) : before.unchanged,
    ...(now.error === undefined ? {} : { error: now.error }),
    ...(now.hint === undefined ? {} : { hint: now.hint }),
  };
}

/** Two commits of one run as one: the later one's state, what both staged. */
export function addCommits(
  before: DatabaseReport | undefined,
  database: DatabaseReport | undefined,
): DatabaseReport | undefined {
  if (before === undefined || database === undefined) return database ?? before;
  return {
    ...database,
    stagedBlocks: before.stagedBlocks + database.stagedBlocks,
    stagedBytes: before.stagedBytes + database.stagedBytes,
  };
}
