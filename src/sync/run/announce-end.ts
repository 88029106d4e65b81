import { databaseNameOf } from '../../storage/database/database-names.ts';
import { sendRunSpan } from '../../telemetry/tracing.ts';
import { hasFailed, type TableReport } from '../documents/report.ts';
import type { RunDocument } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { addFigures } from '../documents/slice.ts';
import { notDoneHint } from './not-done.ts';

/** Above this share of `SYNC_DATABASE_MAX_MB` there is time to act, and not much. */
const nearLimit = 0.8;
/** A table that was not read without an error for so long is stale, whatever the schedule. */
const staleSeconds = 86_400;
/** Tables with metrics of their own. Those beyond share one series, so that the number of series has a limit. */
const maxTables = 500;

/** A list of tables has at most so many characters. */
const maxText = 1000;

/** Says that a run is over, in the log and to the monitor; see `endRun` for how often. */
export function announceEnd(services: SyncServices, run: RunDocument): void {
  const { runId, phase, trigger, entities = [], finishedAt = '', startedAt, traceparent } = run;
  const figures = figuresOf(services, run);
  logEnd(services, run, figures);
  sendEvents(services, run, figures);
  sendMetrics(services, run, figures.seconds);
  sendRunSpan(
    { runId, startedAt, finishedAt, traceparent },
    {
      isError: phase !== 'complete',
      attributes: { 'sync.phase': phase, 'sync.trigger': trigger, 'sync.tables': entities.length },
    },
  );
}

type Figures = ReturnType<typeof figuresOf>;

function figuresOf({ settings }: SyncServices, run: RunDocument) {
  const { entities = [], files, database, quality, startedAt, finishedAt } = run;
  const sum = (name: 'added' | 'updated' | 'deleted'): number =>
    entities.reduce((total, entity) => total + entity[name], 0);
  const read = addFigures(entities);
  return {
    seconds: (Date.parse(finishedAt!) - Date.parse(startedAt)) / 1000,
    entities: entities.length,
    failed: entities.filter(hasFailed).length,
    rowsRead: read.rowsRead,
    requests: read.requests,
    retries: read.retries,
    throttled: read.throttled,
    waitedSeconds: read.waitedSeconds,
    wireBytes: read.wireBytes,
    added: sum('added'),
    updated: sum('updated'),
    deleted: sum('deleted'),
    stagedBytes: database?.stagedBytes ?? 0,
    databaseBytes: database?.bytes ?? run.databaseBytes,
    databaseMaxBytes: limitOf(settings),
    danglingReferences: run.danglingReferences,
    filesFetched: files?.fetched,
    filesFailed: files?.failed,
    rows: quality?.rows,
    ageSeconds: quality?.ageSeconds,
    counted: quality?.counted,
    miscounted: quality?.miscounted.length,
    deltaRows: quality?.byStrategy.delta?.rows,
    modifiedonRows: quality?.byStrategy.modifiedon?.rows,
    fullRows: quality?.byStrategy.full?.rows,
    filteredRows: quality?.byStrategy.filtered?.rows,
  };
}

/** The limit of each database file; undefined where the mirror is no file. */
function limitOf({ postgres, sync }: SyncServices['settings']): number | undefined {
  return postgres === undefined ? sync.databaseMaxBytes : undefined;
}

function logEnd({ telemetry }: SyncServices, run: RunDocument, figures: Figures): void {
  const { runId, phase, error, notDone } = run;
  const level = phase === 'complete' && figures.failed === 0 ? 'info' : 'warn';
  const what = phase === 'complete' ? 'is complete' : phase === 'failed' ? 'failed' : 'was abandoned';
  telemetry.log(level, `Run ${runId} ${what}.`, { runId, error, ...figures });
  if (notDone !== undefined) telemetry.log('warn', notDoneHint(notDone)!, { runId });
}

/** The sizes of the database files in bytes, by name. The limit is that of each file. */
function sizesOf(
  { settings }: SyncServices,
  { databases }: RunDocument,
  { databaseBytes }: Figures,
): [string, number][] {
  if (databases !== undefined) return Object.entries(databases).map(([name, { bytes }]) => [name, bytes]);
  return databaseBytes === undefined ? [] : [[databaseNameOf(settings.databaseName), databaseBytes]];
}

function sendEvents(services: SyncServices, run: RunDocument, figures: Figures): void {
  const { telemetry } = services;
  const { runId, phase, error, trigger, entities = [], quality } = run;
  const tables = run.tables?.join(', ').slice(0, maxText);
  telemetry.event('RunEnded', { runId, phase, trigger, error, tables }, figures);
  for (const entity of entities) {
    const { name: table, strategy, heldBack = 0 } = entity;
    if (heldBack > 0) telemetry.event('DeletesHeldBack', { runId, table, tables }, { rows: heldBack });
    if (!hasFailed(entity) || heldBack > 0) continue;
    const figures = { ageSeconds: ageOf(run, entity) };
    telemetry.event('TableFailed', { runId, table, strategy, error: entity.error, tables }, figures);
  }
  const { databaseMaxBytes, ageSeconds = 0 } = figures;
  for (const [database, databaseBytes] of sizesOf(services, run, figures)) {
    if (databaseMaxBytes !== undefined && databaseBytes > nearLimit * databaseMaxBytes)
      telemetry.event('DatabaseNearLimit', { runId, database }, { databaseBytes, databaseMaxBytes });
  }
  // A narrow run reads few tables, so it cannot say anything about the age of the others, which a live run may be reading.
  if (ageSeconds > staleSeconds && run.tables === undefined) {
    const oldest = entities.find(({ syncedAt }) => syncedAt === quality?.oldestSync);
    telemetry.event('MirrorStale', { runId, table: oldest?.name }, { ageSeconds });
  }
}

function sendMetrics({ telemetry }: SyncServices, run: RunDocument, seconds: number): void {
  const { phase = '', trigger, entities = [], database } = run;
  telemetry.metric('sync.runSeconds', seconds, { phase, trigger });
  entities.forEach((entity, index) => {
    const { strategy } = entity;
    const of = { table: index < maxTables ? entity.name : '(other)', strategy };
    const { rowsRead: read, added, updated, deleted } = entity;
    const { requests, pages, retries, throttled, waitedSeconds } = addFigures([entity]);
    for (const [change, count] of Object.entries({ read, added, updated, deleted })) {
      if (count > 0) telemetry.metric('sync.rows', count, { ...of, change });
    }
    const counts = {
      'sync.pages': pages,
      'sync.requests': requests,
      'sync.retries': retries,
      'sync.throttled': throttled,
      'sync.throttledSeconds': waitedSeconds,
      'sync.failures': hasFailed(entity) ? 1 : 0,
    } as const;
    // What did not happen needs no rows: most tables of most runs have none.
    for (const [name, value] of Object.entries(counts)) {
      if (value > 0) telemetry.metric(name as keyof typeof counts, value, of);
    }
    const age = ageOf(run, entity);
    if (age !== undefined) telemetry.metric('sync.lagSeconds', age, of);
  });
  if (database === undefined) return;
  telemetry.metric('sync.databaseBytes', database.bytes, {});
  telemetry.metric('sync.changedBytes', database.stagedBytes, {});
}

/** Seconds from the last read of a table without an error to the end of the run; undefined if there was none. */
function ageOf({ finishedAt }: RunDocument, { syncedAt }: TableReport): number | undefined {
  return syncedAt === undefined ? undefined : (Date.parse(finishedAt!) - Date.parse(syncedAt)) / 1000;
}
