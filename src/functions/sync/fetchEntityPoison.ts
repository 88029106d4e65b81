import { app } from '@azure/functions';
import { queueName } from '../../config/queue-names.ts';
import { syncServices } from '../../services.ts';
import { fetchQueue } from '../../sync/documents/messages.ts';
import { failPoisonedTable } from '../../sync/fetch/fail-table.ts';
import { receive } from '../../sync/run/receive-message.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Handles a slice that failed too often: marks its table as failed, and the run ends without it. */
app.storageQueue('fetchEntityPoison', {
  queueName: `${queueName(fetchQueue)}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(receive('fetch', `${queueName(fetchQueue)}-poison`, syncServices, failPoisonedTable)),
});
