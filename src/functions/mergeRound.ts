import { app } from '@azure/functions';
import { syncServices } from '../services.ts';
import { mergeRound } from '../sync/merge-round.ts';
import { type MergeMessage, mergeQueue } from '../sync/run-documents.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** Merges a fetched round into the database, then starts the next round or ends the run. */
app.storageQueue('mergeRound', {
  queueName: mergeQueue,
  connection: 'AzureWebJobsStorage',
  handler: (message, context) =>
    inInvocation(context, async () => {
      await mergeRound(await syncServices(), message as MergeMessage);
    }),
});
