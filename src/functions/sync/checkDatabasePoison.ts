import { app } from '@azure/functions';
import { queueName } from '../../config/queue-names.ts';
import { syncServices } from '../../services.ts';
import { failPoisonedCheck } from '../../sync/check/run-check.ts';
import { checkQueue } from '../../sync/documents/messages.ts';
import { receive } from '../../sync/run/receive-message.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Handles a step of a check that failed too often: the check fails, and the last result stays. */
app.storageQueue('checkDatabasePoison', {
  queueName: `${queueName(checkQueue)}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(receive('check', `${queueName(checkQueue)}-poison`, syncServices, failPoisonedCheck)),
});
