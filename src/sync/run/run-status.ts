import { describeForLog, SyncError } from '../../errors.ts';
import { DamagedDocumentError } from '../../storage/document-store.ts';
import type { MergeFigures, ReadFigures } from '../../target/state.ts';
import { readActive } from '../documents/active-run.ts';
import { paths } from '../documents/paths.ts';
import { hasFailed, type TableReport } from '../documents/report.ts';
import { isNarrowRun, type RunDocument, type RunPhase, runFormat } from '../documents/run.ts';
import { isRunDocument, isRunId } from '../documents/run-shape.ts';
import type { SyncServices } from '../documents/services.ts';
import { addFigures } from '../documents/slice.ts';
import { type ExportStatus, exportStatus } from '../export/export-status.ts';
import { latestRound } from './resume-run.ts';
import { runReport } from './run-report.ts';

/** What `GET /api/sync/{runId}` answers. */
export interface RunStatus extends Omit<RunDocument, 'announced'> {
  phase: RunPhase;
  rounds: number;
  entities: TableReport[];
  totals: ReadFigures & MergeFigures & { failed: number };
  /** Wall seconds from the run's start to its end, or to now. */
  seconds: number;
}

/** The status of one run, undefined if no run has that id. */
export async function runStatus(services: SyncServices, runId: string): Promise<RunStatus | undefined> {
  if (!isRunId(runId)) return undefined;
  return statusOf(
    services,
    runId,
    once(() => readActive(services)),
  );
}

/** So many of the latest runs of all tables are among the latest runs, however many narrow runs came after them. */
const mostFullRuns = 10;

/** What `GET /api/sync` answers: the live run, if any, the latest runs, newest first, and the export if there is a landing zone. */
export async function syncStatus(
  services: SyncServices,
  limit = 20,
): Promise<{ active: RunStatus | null; runs: RunStatus[]; export?: ExportStatus }> {
  const ids: string[] = [];
  for await (const runId of services.work.folders('runs/')) if (isRunId(runId)) ids.push(runId);
  const active = once(() => readActive(services));
  ids.sort().reverse();
  const full = ids.filter((runId) => !isNarrowRun(runId)).slice(0, mostFullRuns);
  const latest = ids.filter((runId, place) => place < limit || full.includes(runId));
  const runs = await Promise.all(latest.map((runId) => statusOf(services, runId, active)));
  const liveId = (await active())?.value.runId;
  const live =
    runs.find((run) => run?.runId === liveId) ?? (liveId && (await statusOf(services, liveId, active)));
  const exported = await exportStatus(services);
  return {
    active: live || null,
    runs: runs.filter((run) => run !== undefined),
    ...(exported && { export: exported }),
  };
}

type ReadActive = () => ReturnType<typeof readActive>;

function once<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () => (reading ??= read());
}

/** The status of a run. One whose documents are damaged must not hide the others. */
async function statusOf(
  services: SyncServices,
  runId: string,
  active: ReadActive,
): Promise<RunStatus | undefined> {
  try {
    const status = await readStatus(services, runId, active);
    // A live run is reported from many documents. What comes of them must be a report as well.
    if (status === undefined || isRunDocument({ ...status, finishedAt: status.startedAt }, runId))
      return status;
    throw new TypeError('The documents of the run contain values of other types.');
  } catch (error) {
    const isDamaged = error instanceof DamagedDocumentError;
    if (error instanceof SyncError && !isDamaged) throw error;
    const message = isDamaged ? error.message : `Documents of run ${runId} are damaged.`;
    const hint = isDamaged
      ? error.hint
      : 'Another program wrote to the work container. The log has the error.';
    if (!isDamaged) {
      services.telemetry.log('error', `The status of a run cannot be read: ${describeForLog(error)}`, {
        runId,
      });
    }
    const startedAt = new Date(0).toISOString();
    const run: RunDocument = {
      runId,
      trigger: 'timer',
      startedAt,
      finishedAt: startedAt,
      error: message,
      hint,
    };
    return withTotals(services, run, 'failed');
  }
}

async function readStatus(
  services: SyncServices,
  runId: string,
  active: ReadActive,
): Promise<RunStatus | undefined> {
  const run = (await services.documents.run(runId)) ?? (await claimedRun(runId, active));
  if (run === undefined) return undefined;
  if (run.phase === undefined) {
    const report = await runReport(services, runId);
    const phase = await livePhase(services, runId);
    const now = await services.documents.run(runId);
    // The run may have ended meanwhile, and its documents may be gone.
    if (now?.phase === undefined) return withTotals(services, { ...run, ...report }, phase);
    return readStatus(services, runId, () => readActive(services));
  }
  if (!(await isEnding(services, run, active))) return withTotals(services, run, run.phase);
  // A caller that sees the end may start the next run at once, so the end is shown when that is possible.
  const { phase: _, finishedAt: __, ...live } = run;
  return withTotals(services, live, 'merging');
}

/** A run that the timer has just started: its document is written once it is known what it needs. */
async function claimedRun(runId: string, active: ReadActive): Promise<RunDocument | undefined> {
  const { value } = (await active()) ?? {};
  if (value?.runId !== runId || value.format !== runFormat) return undefined;
  const { startedAt, trigger = 'timer', tables, traceparent } = value;
  return { runId, trigger, tables, startedAt, traceparent };
}

/** Longer than a run takes from its report to its release, in milliseconds. Older runs cost no request more. */
const endingMilliseconds = 3_600_000;

/** Whether the report of a run is written, but the run is not released yet. */
async function isEnding(
  services: SyncServices,
  { runId, finishedAt = '' }: RunDocument,
  active: ReadActive,
): Promise<boolean> {
  if (services.now().getTime() - Date.parse(finishedAt) > endingMilliseconds) return false;
  return (await active())?.value.runId === runId;
}

function withTotals(
  services: SyncServices,
  { announced: _, ...run }: RunDocument,
  phase: RunPhase,
): RunStatus {
  const { rounds = 0, entities = [] } = run;
  const end = run.finishedAt === undefined ? services.now().getTime() : Date.parse(run.finishedAt);
  return {
    ...run,
    phase,
    rounds,
    entities,
    totals: totalsOf(entities),
    seconds: (end - Date.parse(run.startedAt)) / 1000,
  };
}

async function livePhase(services: SyncServices, runId: string): Promise<RunPhase> {
  if ((await services.documents.plan(runId, 1)) === undefined) return 'planning';
  const round = await latestRound(services, runId);
  return (await services.documents.has(paths.mergeRequest(runId, round))) ? 'merging' : 'fetching';
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
    failed: entities.filter(hasFailed).length,
  };
}
