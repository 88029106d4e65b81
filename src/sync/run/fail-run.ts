import { type ConfigurationError, describeFailure, describeForLog } from '../../errors.ts';
import { isLive } from '../documents/active-run.ts';
import type { MergeMessage } from '../documents/messages.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';
import { endingSeconds, endRun } from './end-run.ts';

/** Stores the error of a merge for the poison handler. */
export async function storeMergeError(
  services: SyncServices,
  { runId, round }: MergeMessage,
  error: unknown,
): Promise<void> {
  const failure = describeFailure(error, runId);
  const message = `The merge of round ${round} failed and is retried: ${describeForLog(error)}`;
  services.telemetry.log('warn', message, { runId, hint: failure.hint });
  await services.work.put(paths.mergeError(runId, round), failure);
}

/** Ends a run whose merge cannot succeed until a person acts. The mirror is as it was. */
export async function failRun(
  services: SyncServices,
  request: MergeMessage,
  error: ConfigurationError,
): Promise<void> {
  const { runId, round } = request;
  const { message, hint } = error;
  services.telemetry.log('error', `The merge of round ${round} failed: ${message}`, { runId, hint });
  const isReleased = await endRun(services, runId, 'failed', { error: message, hint });
  if (!isReleased) await lookAgain(services, request);
}

/** Looks at the end of a run again, once the process that writes its report has died or released it. */
export async function lookAgain(services: SyncServices, { runId, round }: MergeMessage): Promise<void> {
  await services.sendMerge({ runId, round }, endingSeconds);
}

/** Ends a run whose merge failed too often. The mirror is as it was, and the next run starts from its cursors. */
export async function failPoisonedRun(services: SyncServices, message: MergeMessage): Promise<void> {
  const { runId, round } = message;
  if (!(await isLive(services, runId))) return;
  const stored = await services.documents.storedError(paths.mergeError(runId, round));
  const isReleased = await endRun(services, runId, 'failed', {
    error: stored?.error ?? 'The merge failed repeatedly and left no error.',
    hint: stored?.hint ?? 'See the function log of mergeRound.',
  });
  if (!isReleased) await lookAgain(services, message);
}
