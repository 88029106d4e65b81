import type { MergeFigures, ReadFigures } from '../../target/state.ts';
import { readActive } from '../documents/active-run.ts';
import { paths } from '../documents/paths.ts';
import type { TableReport } from '../documents/report.ts';
import type { RunDocument, RunPhase } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { addFigures } from '../documents/slice.ts';
import { latestRound } from './resume-run.ts';
import { runReport } from './run-report.ts';

/** What `GET /api/sync/{runId}` answers. */
export interface RunStatus extends RunDocument {
  phase: RunPhase;
  rounds: number;
  entities: TableReport[];
  totals: ReadFigures & MergeFigures & { failed: number };
  /** Wall seconds from the run's start to its end, or to now. */
  seconds: number;
}

/** The status of one run, undefined if no run has that id. */
export async function runStatus(services: SyncServices, runId: string): Promise<RunStatus | undefined> {
  if (!/^[\w-]{1,64}$/.test(runId)) return undefined;
  const run = await services.documents.run(runId);
  if (run === undefined) return undefined;
  const report = run.phase === undefined ? await runReport(services, runId) : run;
  const { rounds = 0, entities = [] } = report;
  const end = run.finishedAt === undefined ? services.now().getTime() : Date.parse(run.finishedAt);
  return {
    ...run,
    ...report,
    phase: run.phase ?? (await livePhase(services, runId)),
    rounds,
    entities,
    totals: totalsOf(entities),
    seconds: (end - Date.parse(run.startedAt)) / 1000,
  };
}

/** What `GET /api/sync` answers: the live run, if any, and the latest runs, newest first. */
export async function syncStatus(
  services: SyncServices,
  limit = 20,
): Promise<{ active: RunStatus | null; runs: RunStatus[] }> {
  const active = await readActive(services);
  const ids: string[] = [];
  for await (const runId of runIds(services)) ids.push(runId);
  const latest = ids.sort().reverse().slice(0, limit);
  const runs = await Promise.all(latest.map((runId) => runStatus(services, runId)));
  const live = active && (await runStatus(services, active.value.runId));
  return { active: live ?? null, runs: runs.filter((run) => run !== undefined) };
}

async function* runIds(services: SyncServices): AsyncGenerator<string> {
  for await (const { name } of services.work.list('runs/')) {
    const match = /^runs\/([^/]+)\/run\.json$/.exec(name);
    if (match !== null) yield match[1]!;
  }
}

async function livePhase(services: SyncServices, runId: string): Promise<RunPhase> {
  if ((await services.documents.plan(runId, 1)) === undefined) return 'planning';
  const round = await latestRound(services, runId);
  const request = await services.documents.claim(paths.mergeRequest(runId, round));
  return request === undefined ? 'fetching' : 'merging';
}

function totalsOf(entities: readonly TableReport[]): RunStatus['totals'] {
  const sum = (name: keyof MergeFigures): number =>
    entities.reduce((total, entity) => total + entity[name], 0);
  return {
    ...addFigures(entities),
    added: sum('added'),
    updated: sum('updated'),
    deleted: sum('deleted'),
    unchanged: sum('unchanged'),
    failed: entities.filter((entity) => entity.state === 'failed').length,
  };
}
