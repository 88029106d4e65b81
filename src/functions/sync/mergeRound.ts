import { app } from '@azure/functions';
import { queueName } from '../../config/queue-names.ts';
import { syncServices } from '../../services.ts';
import { mergeQueue } from '../../sync/documents/messages.ts';
import { mergeRound } from '../../sync/merge/merge-round.ts';
import { receive } from '../../sync/run/receive-message.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Merges a fetched round into the database, then starts the next round or ends the run. */
app.storageQueue('mergeRound', {
  queueName: queueName(mergeQueue),
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(receive('merge', queueName(mergeQueue), syncServices, mergeRound)),
});
