import { LinkError } from '../../dataverse/errors/errors.ts';
import { ConfigurationError, describeFailure, describeForLog, SkipTableError } from '../../errors.ts';
import { isLive } from '../documents/active-run.ts';
import type { FetchMessage } from '../documents/messages.ts';
import { paths } from '../documents/paths.ts';
import { requestMergeIfFetched } from '../documents/request-merge.ts';
import type { SyncServices } from '../documents/services.ts';

/** Whether another try cannot succeed, so that the table fails without the retries of the queue. */
export function isFinal(error: unknown): boolean {
  return error instanceof SkipTableError || error instanceof ConfigurationError || error instanceof LinkError;
}

/** Stores an error for the poison handler, because a poison message does not carry one. */
export async function storeError(
  services: SyncServices,
  { runId, round, entity }: FetchMessage,
  error: unknown,
): Promise<void> {
  const failure = describeFailure(error, runId);
  const { hint } = failure;
  const message = `Fetching ${entity} failed and is retried: ${describeForLog(error)}`;
  services.telemetry.log('warn', message, { runId, entity, hint });
  await services.work.put(paths.lastError(runId, round, entity), failure);
}

/** Ends one table of a round as failed. The run completes without it. */
export async function failTable(
  services: SyncServices,
  { runId, round, entity }: FetchMessage,
  error: unknown,
): Promise<void> {
  const failure = describeFailure(error, runId);
  const { hint } = failure;
  services.telemetry.log('error', `${entity} failed in this run: ${describeForLog(error)}`, {
    runId,
    entity,
    hint,
  });
  await services.work.createIfAbsent(paths.failed(runId, round, entity), failure);
  await requestMergeIfFetched(services, runId, round, { resend: true });
}

/** Handles a poison message of the fetch queue: the table fails with the error that was stored last. */
export async function failPoisonedTable(services: SyncServices, message: FetchMessage): Promise<void> {
  const { runId, round, entity } = message;
  if (!(await isLive(services, runId))) return;
  const plan = await services.documents.plan(runId, round);
  if (plan === undefined || !Object.hasOwn(plan.entities, entity)) {
    services.telemetry.log('warn', 'Dropped a message of a table that the run does not read.', {
      runId,
      round,
    });
    return;
  }
  const stored = await services.documents.storedError(paths.lastError(runId, round, entity));
  const {
    error = 'Its message failed repeatedly and left no error.',
    hint = 'See the function log of fetchEntity.',
  } = stored ?? {};
  await failTable(services, message, new SkipTableError(error, { hint }));
}
