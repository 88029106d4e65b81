import {
  ConflictError,
  describeFailure,
  describeForLog,
  type Failure,
  RetriableError,
  SyncError,
} from '../../errors.ts';
import type { CheckResult, CheckStep } from '../../target/mirror-check.ts';
import type { CheckMessage } from '../documents/messages.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';
import { announceCheck } from './announce-check.ts';
import {
  type CheckDocument,
  checkFormat,
  readCheck,
  type StoredCheck,
  storedCheckName,
} from './check-document.ts';

/**
 * Does one step of a check: as much as `SYNC_SLICE_SECONDS` allow. Then it stores how far it is, and sends the message
 * for the next step. Can be repeated: a step that is done is not done again, and if two processes do the same step, the
 * first one counts.
 * @throws RetriableError and unknown errors: the queue delivers the message again
 */
export async function runCheck(services: SyncServices, message: CheckMessage): Promise<void> {
  const live = await readLive(services, message);
  if (live === undefined) return;
  const { value: check, etag } = live;
  const { checkId } = check;
  if (message.step < check.step) {
    // The process that did this step may have died before it sent the next message.
    await services.sendCheck({ checkId, step: check.step });
    return;
  }
  const checkpoint = paths.checkpoint(checkId, check.step, services.randomId());
  let step: CheckStep;
  try {
    step = await doStep(services, check, checkpoint);
  } catch (error) {
    if (!isFinal(error)) {
      services.telemetry.log(
        'warn',
        `A step of check ${checkId} failed and is retried: ${describeForLog(error)}`,
      );
      throw error;
    }
    services.telemetry.log('error', `Check ${checkId} failed: ${describeForLog(error)}`);
    await failCheck(services, live, describeFailure(error, checkId));
    return;
  }
  const { progress, result } = step;
  if (result !== undefined) return completeCheck(services, live, result);
  const { checkpoint: before, ...rest } = check;
  const next: CheckDocument = {
    ...rest,
    updatedAt: services.now().toISOString(),
    step: check.step + 1,
    format: checkFormat,
    progress,
    ...(progress.hasCheckpoint && { checkpoint }),
  };
  if (!(await replace(services, next, etag))) return;
  await services.sendCheck({ checkId, step: next.step });
  if (before !== undefined) await services.work.deletePrefix(before);
}

/** Ends a check of which a step failed too often. The last result stays. */
export async function failPoisonedCheck(services: SyncServices, message: CheckMessage): Promise<void> {
  const live = await readLive(services, message);
  if (live === undefined) return;
  await failCheck(services, live, {
    error: 'A step of the check failed repeatedly.',
    hint: 'See the function log of checkDatabase, then start the check again with POST /api/verify.',
  });
}

async function readLive(
  services: SyncServices,
  { checkId }: CheckMessage,
): Promise<{ value: CheckDocument; etag: string } | undefined> {
  const found = await readCheck(services);
  if (found?.value?.checkId === checkId && found.value.state === 'running')
    return { value: found.value, etag: found.etag };
  services.telemetry.log('info', `Check ${checkId} is over. Its message is dropped.`);
  return undefined;
}

function doStep(services: SyncServices, check: CheckDocument, checkpoint: string): Promise<CheckStep> {
  const { work, mirror, settings } = services;
  const until = performance.now() + settings.sync.sliceSeconds * 1000;
  const { checkpoint: saved } = check;
  return mirror.checkStep(check.format === checkFormat ? check.progress : undefined, {
    checkpoint: {
      load: async () => (saved === undefined ? undefined : work.getBytes(saved)),
      save: (bytes) => work.putBytes(checkpoint, bytes),
    },
    isTimeOver: () => performance.now() >= until,
    startedAt: check.startedAt,
  });
}

/** Whether a repetition cannot help. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof SyncError && !(error instanceof RetriableError) && !(error instanceof ConflictError)
  );
}

async function completeCheck(
  services: SyncServices,
  { value: check, etag }: { value: CheckDocument; etag: string },
  result: CheckResult,
): Promise<void> {
  const { checkId, trigger, startedAt, step, format } = check;
  const finishedAt = services.now().toISOString();
  const stored: StoredCheck = { checkId, startedAt, finishedAt, ...result };
  await services.published.put(storedCheckName, stored);
  // Before the end is noted: a crash in between repeats the announcement rather than losing it.
  announceCheck(services, stored);
  const times = { startedAt, updatedAt: finishedAt, finishedAt };
  const ended: CheckDocument = { checkId, trigger, state: 'complete', ...times, step, format };
  if (await replace(services, ended, etag)) await services.work.deletePrefix(paths.checkFolder);
}

async function failCheck(
  services: SyncServices,
  { value: check, etag }: { value: CheckDocument; etag: string },
  failure: Failure,
): Promise<void> {
  const { progress: _, checkpoint: __, ...rest } = check;
  const finishedAt = services.now().toISOString();
  const ended: CheckDocument = { ...rest, state: 'failed', updatedAt: finishedAt, finishedAt, ...failure };
  if (await replace(services, ended, etag)) await services.work.deletePrefix(paths.checkFolder);
}

/** @returns false if another process was faster */
async function replace({ work }: SyncServices, check: CheckDocument, etag: string): Promise<boolean> {
  try {
    await work.replaceIfUnchanged(paths.check, check, etag);
    return true;
  } catch (error) {
    if (error instanceof ConflictError) return false;
    throw error;
  }
}
