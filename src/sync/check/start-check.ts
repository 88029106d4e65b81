import { ConflictError, describeForLog } from '../../errors.ts';
import { paths } from '../documents/paths.ts';
import type { RunDocument } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { type CheckDocument, type CheckTrigger, checkFormat, readCheck } from './check-document.ts';

export interface StartedCheck {
  checkId: string;
  /** `live`: another check is running, and nothing was started. `resumed`: it had stopped, and continues. */
  outcome: 'started' | 'resumed' | 'live';
}

/** A check that failed is tried again after this many hours, if not sooner. */
const retryHours = 24;

/**
 * Starts a check of the whole mirror. One check runs at a time. One that has made no progress for `SYNC_STALE_AFTER`
 * seconds has lost its message: it is sent again.
 * @throws ConfigurationError if the queues belong to another app
 */
export async function startCheck(services: SyncServices, trigger: CheckTrigger): Promise<StartedCheck> {
  const found = await readCheck(services);
  const live = found?.value?.state === 'running' ? found.value : undefined;
  if (live !== undefined && !isStale(services, live)) return { checkId: live.checkId, outcome: 'live' };
  await services.claimQueues(services.now());
  const now = services.now().toISOString();
  const check: CheckDocument = live
    ? { ...live, updatedAt: now }
    : {
        checkId: `check-${now.replace(/[-:]|\.\d+/g, '')}-${services.randomId()}`,
        trigger,
        state: 'running',
        startedAt: now,
        updatedAt: now,
        step: 0,
        format: checkFormat,
      };
  if (!(await store(services, check, found?.etag))) return startCheck(services, trigger);
  await services.sendCheck({ checkId: check.checkId, step: check.step });
  const { checkId } = check;
  services.telemetry.log('info', `Check ${checkId} is ${live ? 'resumed' : 'started'}.`, {
    checkId,
    trigger,
  });
  return { checkId, outcome: live ? 'resumed' : 'started' };
}

/**
 * At the end of a run: starts a check if it is time, or resumes one that has stopped. Databases that are in memory as a
 * whole are checked by each commit: of several, each has the same share of the memory. Never throws: a run does not fail
 * because of a check.
 * @param run the sizes of the databases
 */
export async function startDueCheck(
  services: SyncServices,
  { databases, databaseBytes = 0 }: Pick<RunDocument, 'databases' | 'databaseBytes'>,
): Promise<void> {
  const { checkHours, cacheBytes } = services.settings.sync;
  const sizes = Object.values(databases ?? { only: { bytes: databaseBytes } }).map(({ bytes }) => bytes);
  if (checkHours === 0 || !sizes.some((bytes) => bytes > cacheBytes / sizes.length)) return;
  try {
    const check = (await readCheck(services))?.value;
    if (check !== undefined && !isDue(services, check)) return;
    await startCheck(services, 'timer');
  } catch (error) {
    const message = `The check of the database could not be started: ${describeForLog(error)}`;
    services.telemetry.log('warn', message);
  }
}

function isDue(services: SyncServices, check: CheckDocument): boolean {
  if (check.state === 'running') return isStale(services, check);
  const { checkHours } = services.settings.sync;
  const hours = check.state === 'failed' ? Math.min(checkHours, retryHours) : checkHours;
  return secondsSince(services, check.startedAt) >= hours * 3600;
}

function isStale(services: SyncServices, { updatedAt }: CheckDocument): boolean {
  const { staleAfterSeconds, sliceSeconds } = services.settings.sync;
  return secondsSince(services, updatedAt) > Math.max(staleAfterSeconds, 2 * sliceSeconds);
}

/** A time in the future is that of a clock that was wrong. */
function secondsSince({ now }: SyncServices, time: string): number {
  const seconds = (now().getTime() - Date.parse(time)) / 1000;
  return seconds < -60 ? Number.POSITIVE_INFINITY : seconds;
}

/** @returns false if another process has changed the document meanwhile */
async function store(
  { work }: SyncServices,
  check: CheckDocument,
  etag: string | undefined,
): Promise<boolean> {
  if (etag === undefined) return work.createIfAbsent(paths.check, check);
  try {
    await work.replaceIfUnchanged(paths.check, check, etag);
    return true;
  } catch (error) {
    if (error instanceof ConflictError) return false;
    throw error;
  }
}
