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
  totals: Omit<
    TableReport,
    | 'name'
    | 'table'
    | 'strategy'
    | 'state'
    | 'reason'
    | 'error'
    | 'hint'
    | 'rows'
    | 'dataverseRows'
    | 'syncedAt'
  > & {
    failed: number;
  };
  /** Wall seconds from the run's start to its end, or to now. */
  seconds: number;
}

/** The status of one run, undefined where there is none of that id. */
export async function runStatus(services: SyncServices, runId: string): Promise<RunStatus | undefined> {
  if (!/^[\w-]{1,64}$/.test(runId)) return undefined;
  const run = await services.documents.run(runId);
  if (run === undefined) return undefined;
  const over = run.phase !== undefined;
  const report = over ? run : await runReport(services, runId);
  const entities = report.entities ?? [];
  return {
    ...run,
    ...report,
    phase: run.phase ?? (await livePhase(services, runId)),
    rounds: report.rounds ?? 0,
    entities,
    totals: totalsOf(entities),
    seconds: (Date.parse(run.finishedAt ?? services.now().toISOString()) - Date.parse(run.startedAt)) / 1000,
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
  const found = runs.filter((run) => run !== undefined);
  const live = active === undefined ? undefined : await runStatus(services, active.value.runId);
  return { active: live ?? null, runs: found };
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
  const merging = await services.documents.claim(paths.mergeRequest(runId, round));
  return merging === undefined ? 'fetching' : 'merging';
}

function totalsOf(entities: readonly TableReport[]): RunStatus['totals'] {
  const sum = (name: 'added' | 'updated' | 'deleted' | 'unchanged'): number =>
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
