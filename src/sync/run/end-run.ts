import { readActive } from '../documents/active-run.ts';
import { paths } from '../documents/paths.ts';
import type { RunDocument, RunPhase, RunQuality } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { cleanUp } from './clean-up.ts';
import { withQuality } from './quality.ts';
import { addCommits, runReport } from './run-report.ts';

/**
 * Ends a run: writes its report into run.json, releases `active.json`, and deletes the run's shards and claims.
 * In this order, so that a crash between any two steps leaves a run that the next start takes up again.
 */
export async function endRun(
  services: SyncServices,
  runId: string,
  phase: Extract<RunPhase, 'complete' | 'failed' | 'abandoned'>,
  more: Pick<RunDocument, 'error' | 'hint' | 'files' | 'database'> = {},
): Promise<void> {
  const report = await runReport(services, runId);
  const database = addCommits(report.database, more.database);
  const stored = await services.work.read<RunDocument>(paths.run(runId));
  const finished: RunDocument = {
    ...(stored?.value ?? { runId, trigger: 'timer', startedAt: services.now().toISOString() }),
    ...report,
    ...(await withQuality(services, report, phase)),
    phase,
    finishedAt: services.now().toISOString(),
    ...more,
    ...(database === undefined ? {} : { database }),
  };
  if (stored?.value.phase === undefined) await services.work.put(paths.run(runId), finished);
  await release(services, runId);
  tell(services, finished);
  await services.work.deletePrefix(paths.roundsFolder(runId));
  await cleanUp(services);
}

function tell(services: SyncServices, run: RunDocument): void {
  const entities = run.entities ?? [];
  const failed = entities.filter((entity) => entity.error !== undefined);
  const { runId, phase, error } = run;
  const seconds = (Date.parse(run.finishedAt!) - Date.parse(run.startedAt)) / 1000;
  const count = (name: 'rowsRead' | 'added' | 'updated' | 'deleted'): number =>
    entities.reduce((sum, entity) => sum + entity[name], 0);
  const figures = {
    seconds,
    entities: entities.length,
    failed: failed.length,
    rowsRead: count('rowsRead'),
    added: count('added'),
    updated: count('updated'),
    deleted: count('deleted'),
    stagedBytes: run.database?.stagedBytes ?? 0,
    ...(run.danglingReferences === undefined ? {} : { danglingReferences: run.danglingReferences }),
    ...qualityFigures(run.quality),
    ...(run.files === undefined ? {} : { filesFetched: run.files.fetched, filesFailed: run.files.failed }),
  };
  const level = phase === 'complete' && failed.length === 0 ? 'info' : 'warn';
  services.telemetry.log(level, `Run ${runId} is ${phase}.`, { runId, error, ...figures });
  services.telemetry.event('RunEnded', { runId, phase, trigger: run.trigger, error }, figures);
}

function qualityFigures(quality: RunQuality | undefined): Record<string, number> {
  if (quality === undefined) return {};
  const { rows, ageSeconds, counted, miscounted, byStrategy } = quality;
  const shares = Object.entries(byStrategy).map(([strategy, share]) => [`${strategy}Rows`, share.rows]);
  return {
    rows,
    ...(ageSeconds === undefined ? {} : { ageSeconds }),
    counted,
    miscounted: miscounted.length,
    ...Object.fromEntries(shares),
  };
}

async function release(services: SyncServices, runId: string): Promise<void> {
  const active = await readActive(services);
  if (active?.value.runId !== runId) return;
  await services.work.deleteIfUnchanged(paths.active, active.etag);
}
