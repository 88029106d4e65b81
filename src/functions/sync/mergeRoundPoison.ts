import { app } from '@azure/functions';
import { syncServices } from '../../services.ts';
import { type MergeMessage, mergeQueue } from '../../sync/documents/messages.ts';
import { failPoisonedRun } from '../../sync/run/fail-run.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Handles a merge that failed too often: the run fails, and the next run starts from the last committed cursors. */
app.storageQueue('mergeRoundPoison', {
  queueName: `${mergeQueue}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(async (message) => failPoisonedRun(await syncServices(), message as MergeMessage)),
});
