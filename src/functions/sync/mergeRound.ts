import { app } from '@azure/functions';
import { syncServices } from '../../services.ts';
import { type MergeMessage, mergeQueue } from '../../sync/documents/messages.ts';
import { mergeRound } from '../../sync/merge/merge-round.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Merges a fetched round into the database, then starts the next round or ends the run. */
app.storageQueue('mergeRound', {
  queueName: mergeQueue,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(async (message) => mergeRound(await syncServices(), message as MergeMessage)),
});
