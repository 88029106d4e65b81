import { app } from '@azure/functions';
import { syncServices } from '../services.ts';
import { type MergeMessage, mergeQueue } from '../sync/documents/messages.ts';
import { failPoisonedRun } from '../sync/run/fail-run.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** A merge that failed too often: the run ends as failed, and the next one begins from the last good cursors. */
app.storageQueue('mergeRoundPoison', {
  queueName: `${mergeQueue}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: (message, context) =>
    inInvocation(context, async () => {
      await failPoisonedRun(await syncServices(), message as MergeMessage);
    }),
});
