import { describeFailure, type Failure } from '../../errors.ts';
import { isLive } from '../documents/active-run.ts';
import type { MergeMessage } from '../documents/messages.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';
import { endRun } from './end-run.ts';

/** Keeps why a merge failed where the poison handler finds it. */
export async function noteMergeError(
  services: SyncServices,
  message: MergeMessage,
  error: unknown,
): Promise<void> {
  const { runId, round } = message;
  const failure = describeFailure(error);
  services.telemetry.log(
    'warn',
    `The merge of round ${round} failed and will be tried again: ${failure.error}`,
    { runId, ...failure },
  );
  await services.work.put(paths.mergeError(runId, round), failure);
}

/** Ends a run whose merge failed too often. The database stands as before it; the next run begins from its cursors. */
export async function failPoisonedRun(services: SyncServices, message: MergeMessage): Promise<void> {
  const { runId, round } = message;
  if (!(await isLive(services, runId))) return;
  const noted = await services.work.read<Failure>(paths.mergeError(runId, round));
  await endRun(services, runId, 'failed', {
    error: noted?.value.error ?? 'The merge failed repeatedly without leaving a reason.',
    hint: noted?.value.hint ?? 'The function log of mergeRound holds the error.',
  });
}
