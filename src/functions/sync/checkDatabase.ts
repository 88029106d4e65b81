import { app } from '@azure/functions';
import { queueName } from '../../config/queue-names.ts';
import { syncServices } from '../../services.ts';
import { runCheck } from '../../sync/check/run-check.ts';
import { checkQueue } from '../../sync/documents/messages.ts';
import { receive } from '../../sync/run/receive-message.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Does one step of a check of the database, then requests the next one. */
app.storageQueue('checkDatabase', {
  queueName: queueName(checkQueue),
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(receive('check', queueName(checkQueue), syncServices, runCheck)),
});
