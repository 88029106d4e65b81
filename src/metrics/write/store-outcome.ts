import { describeError, RetriableError } from '../../errors.ts';
import type { JournalEntry } from '../journal/journal-entry.ts';
import type { JournalLease } from '../journal/journal-lease.ts';
import { leaveBehind, maxStragglers, type Read, readAgain, thinOut } from '../journal/stragglers.ts';
import type { MetricsServices } from '../services.ts';
import { consequenceOf } from '../table/write-consequence.ts';
import type { WriteReport } from './write-entries.ts';

/** The drain sleeps through shorter pauses and schedules the next drain for longer ones. */
const maxSleepMs = 5_000;
/** The same for stragglers. It is short, because records that arrive meanwhile would wait, too. */
export const maxStragglerSleepMs = 1_000;
const maxBackoffSeconds = 60;
/** The longest `Retry-After` that is kept, like that of other requests to Dataverse. */
const maxRetryAfterSeconds = 300;

export function isFar(time: number, sleepMs = maxSleepMs): boolean {
  return time - Date.now() > sleepMs;
}

/**
 * Stores what is written, and when to write the rest. If Dataverse answers for other rows, only those that it does not
 * answer for have to wait, and the drain reads on. Otherwise it makes a pause.
 * @param outcome `before`: how many stragglers there were before
 * @returns whether the drain must end; it has scheduled the next one for that time
 */
export async function storeOutcome(
  services: MetricsServices,
  lease: JournalLease,
  read: Read,
  outcome: WriteReport & { before: number },
): Promise<boolean> {
  const { written, refused, poison, open, before } = outcome;
  const someSettled = written + refused > 0;
  const left = thinOut([...read.stragglers, ...read.open]);
  const known = new Set(read.stragglers.map(({ id }) => id));
  const isNew = read.open.some(({ id }) => !known.has(id));
  const readsOn = read.open.length === 0 || (left.length <= maxStragglers && (someSettled || !isNew));
  const place = { ...(readsOn ? leaveBehind(left, read.next) : readAgain(read)), poison };
  if (open.size === 0) {
    const none = left.length === 0 ? { stragglersAt: 0, stragglerFailures: 0 } : {};
    await lease.change({ ...place, ...none, retryAt: 0, failures: 0 });
    return false;
  }
  const errors = [...open.values()];
  const retryAfter = Math.min(maxRetryAfterSeconds, Math.max(...errors.map(retryAfterOf)));
  const { failures, stragglerFailures } = lease.state;
  if (!readsOn || retryAfter > 0) {
    const change = { ...place, failures: someSettled ? 1 : failures + 1 };
    const seconds = Math.max(retryAfter, backoffOf(errors, change.failures));
    tellPause(services, errors, left, change.failures, seconds);
    const retryAt = await scheduleAfter(services, seconds, maxSleepMs);
    await lease.change({ ...change, retryAt });
    return isFar(retryAt);
  }
  const isProgress = isNew || read.stragglers.length < before;
  const change = {
    ...place,
    failures: 0,
    retryAt: 0,
    stragglerFailures: isProgress ? 1 : stragglerFailures + 1,
  };
  const seconds = backoffOf(errors, change.stragglerFailures);
  tellPause(services, errors, left, change.stragglerFailures, seconds);
  await lease.change({
    ...change,
    stragglersAt: await scheduleAfter(services, seconds, maxStragglerSleepMs),
  });
  return false;
}

/**
 * Schedules a drain, unless this one sleeps through the pause. To be awaited before the state is stored: after a crash
 * in between, a drain starts that has nothing to do, instead of none.
 * @returns when the pause ends, in milliseconds since 1970
 */
async function scheduleAfter(services: MetricsServices, seconds: number, sleepMs: number): Promise<number> {
  if (seconds * 1000 > sleepMs) await services.drainQueue.schedule(Math.ceil(seconds) + 1);
  return Date.now() + seconds * 1000;
}

function backoffOf(errors: readonly Error[], failures: number): number {
  const isSetup = errors.some((each) => consequenceOf(each) === 'setup');
  return isSetup ? maxBackoffSeconds : Math.min(maxBackoffSeconds, 2 ** (failures - 1) / 2);
}

function retryAfterOf(error: Error): number {
  return error instanceof RetriableError ? (error.retryAfterSeconds ?? 0) : 0;
}

/** Seconds since the oldest of the entries was accepted; 0 without any. */
export function oldestSeconds({ now }: MetricsServices, entries: readonly JournalEntry[]): number {
  const times = entries.map(({ acceptedAt }) => Date.parse(acceptedAt));
  const oldest = times.reduce((least, time) => Math.min(least, time), Number.POSITIVE_INFINITY);
  return Number.isFinite(oldest) ? Math.max(0, (now().getTime() - oldest) / 1000) : 0;
}

function tellPause(
  services: MetricsServices,
  errors: readonly Error[],
  waiting: readonly JournalEntry[],
  failures: number,
  retryInSeconds: number,
): void {
  const setup = errors.find((each) => consequenceOf(each) === 'setup');
  const { message: reason, hint } = describeError(setup ?? errors[0]!);
  const properties = { failures, records: errors.length, retryInSeconds, reason, hint };
  const level = setup === undefined ? 'warn' : 'error';
  services.log(level, 'Campaign metrics cannot be written to Dataverse now.', properties);
  services.event(
    'CampaignMetricsDelayed',
    { cause: setup === undefined ? 'outage' : 'setup' },
    { records: errors.length, failures, retryInSeconds, oldestSeconds: oldestSeconds(services, waiting) },
  );
}
