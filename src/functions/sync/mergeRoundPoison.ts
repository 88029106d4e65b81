import { app } from '@azure/functions';
import { queueName } from '../../config/queue-names.ts';
import { syncServices } from '../../services.ts';
import { mergeQueue } from '../../sync/documents/messages.ts';
import { failPoisonedRun } from '../../sync/run/fail-run.ts';
import { receive } from '../../sync/run/receive-message.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Handles a merge that failed too often: the run fails, and the next run starts from the last committed cursors. */
app.storageQueue('mergeRoundPoison', {
  queueName: `${queueName(mergeQueue)}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(receive('merge', `${queueName(mergeQueue)}-poison`, syncServices, failPoisonedRun)),
});
