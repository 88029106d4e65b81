import { dataverseFault } from '../../dataverse/errors/errors.ts';
import type { RequestStats } from '../../dataverse/transport/stats.ts';
import { describeError, RetriableError, SkipTableError } from '../../errors.ts';
import type { FetchMessage, Wait } from '../documents/messages.ts';
import { requestEarlyMerge } from '../documents/request-merge.ts';
import type { SyncServices } from '../documents/services.ts';
import { storeWaiting } from '../documents/waiting.ts';

/** Whether an error asks to wait before the next request. */
export function asksToWait(error: unknown): error is RetriableError & { retryAfterSeconds: number } {
  return error instanceof RetriableError && error.retryAfterSeconds !== undefined;
}

/**
 * Continues a slice after the time that Dataverse asked for: the same message becomes visible again then. No function
 * runs meanwhile, and the attempt does not count towards those of a poison message.
 * @throws SkipTableError if the slice has waited for `SYNC_MAX_WAIT` without a page
 */
export async function waitInQueue(
  services: SyncServices,
  message: FetchMessage,
  error: RetriableError & { retryAfterSeconds: number },
  stats: RequestStats,
): Promise<void> {
  const now = services.now().getTime();
  const since = message.waiting?.since ?? new Date(now).toISOString();
  // Tables that only waited for another one go first: otherwise that one could stop them again, each time.
  const { status } = dataverseFault(error) ?? {};
  const isOwn = status === 429;
  const { maxWaitSeconds } = services.settings.sync;
  // One response must not hold a run for years. After the longest wait the table is tried once more, and then fails.
  const asked = Math.min(error.retryAfterSeconds, Math.max(1, maxWaitSeconds));
  const seconds = asked + (isOwn ? Math.min(10, asked / 2) : 0);
  const until = new Date(now + seconds * 1000).toISOString();
  // Without a status, the request was not sent: it waited for another table, which has a limit of its own.
  if (status !== undefined && now - Date.parse(since) >= maxWaitSeconds * 1000) {
    const { message: text } = describeError(error);
    throw new SkipTableError(
      `Dataverse made ${message.entity} wait since ${since}, and still does: ${text}`,
      {
        object: message.entity,
        hint: 'Sync less often, lower DATAVERSE_MAX_CONCURRENCY, or find out what else uses the limits of this application user. The next run tries again.',
        cause: error,
      },
    );
  }
  const { runId, round, entity, slice } = message;
  services.telemetry.log('info', `Dataverse asked to wait. ${entity} continues at ${until}.`, {
    runId,
    round,
    entity,
    slice,
    waitSeconds: seconds,
  });
  const spent = { ...stats, waitedSeconds: stats.waitedSeconds + seconds };
  await sleepInQueue(services, message, { since, until, spent }, describeError(error).message);
}

/**
 * Sends a message back that was delivered before its time.
 * @returns false if its time has come, or is further away than this app waits
 */
export async function waitFurther(services: SyncServices, message: FetchMessage): Promise<boolean> {
  const { waiting } = message;
  if (waiting === undefined) return false;
  const left = (Date.parse(waiting.until) - services.now().getTime()) / 1000;
  if (left <= 0 || left > services.settings.sync.maxWaitSeconds + 60) return false;
  await sleepInQueue(services, message, waiting, 'Dataverse asked to wait.');
  return true;
}

/** Notes the wait, then sends the message. A long wait is cut in parts, so that the note stays fresh. */
async function sleepInQueue(
  services: SyncServices,
  message: FetchMessage,
  waiting: Wait,
  reason: string,
): Promise<void> {
  const left = (Date.parse(waiting.until) - services.now().getTime()) / 1000;
  const part = Math.min(left, services.settings.sync.staleAfterSeconds / 2);
  const { since, until } = waiting;
  await storeWaiting(services, message, { since, until, slice: message.slice, reason });
  await services.sendFetch({ ...message, waiting }, Math.max(1, Math.ceil(part)));
  await requestEarlyMerge(services, message.runId, message.round);
}
