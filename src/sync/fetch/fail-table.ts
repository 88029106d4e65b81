import { LinkError } from '../../dataverse/errors/errors.ts';
import { ConfigurationError, describeFailure, type Failure, SkipTableError } from '../../errors.ts';
import type { FetchMessage } from '../documents/messages.ts';
import { paths } from '../documents/paths.ts';
import { requestMergeIfFetched } from '../documents/request-merge.ts';
import type { SyncServices } from '../documents/services.ts';

/** Whether trying again cannot help, so that the entity fails at once and spares the queue its retries. */
export function isFinal(error: unknown): boolean {
  return error instanceof SkipTableError || error instanceof ConfigurationError || error instanceof LinkError;
}

/** Keeps what went wrong where the poison handler finds it: a poison message itself carries no reason. */
export async function noteError(
  services: SyncServices,
  message: FetchMessage,
  error: unknown,
): Promise<void> {
  const failure = describeFailure(error);
  const { runId, entity } = message;
  services.telemetry.log('warn', `Fetching ${entity} failed and will be tried again: ${failure.error}`, {
    runId,
    entity,
    ...failure,
  });
  await services.work.put(paths.lastError(message.runId, message.round, message.entity), failure);
}

/** Ends one entity of a round as failed; the others go on, and the run ends without it. */
export async function failTable(
  services: SyncServices,
  message: FetchMessage,
  error: unknown,
): Promise<void> {
  const { runId, round, entity } = message;
  const failure = describeFailure(error);
  services.telemetry.log('error', `${entity} failed in this run: ${failure.error}`, {
    runId,
    entity,
    ...failure,
  });
  await services.work.createIfAbsent(paths.failed(runId, round, entity), failure);
  await requestMergeIfFetched(services, runId, round, { resend: true });
}

/** The poison handler of the fetch queue: the entity fails with the last error that was noted. */
export async function failPoisonedTable(services: SyncServices, message: FetchMessage): Promise<void> {
  const { runId, round, entity } = message;
  const noted = await services.work.read<Failure>(paths.lastError(runId, round, entity));
  const error = new SkipTableError(
    noted?.value.error ?? 'Its message failed repeatedly without leaving a reason.',
    { hint: noted?.value.hint ?? 'The function log of fetchEntity holds the error.' },
  );
  await failTable(services, message, error);
}
