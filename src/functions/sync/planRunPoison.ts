import { app } from '@azure/functions';
import { queueName } from '../../config/queue-names.ts';
import { syncServices } from '../../services.ts';
import { planQueue } from '../../sync/documents/messages.ts';
import { failPoisonedPlan } from '../../sync/run/plan-run.ts';
import { receive } from '../../sync/run/receive-message.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Handles a plan that failed too often: the run fails, and the next run starts anew. */
app.storageQueue('planRunPoison', {
  queueName: `${queueName(planQueue)}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(receive('plan', `${queueName(planQueue)}-poison`, syncServices, failPoisonedPlan)),
});
