import { app } from '@azure/functions';
import { syncServices } from '../../services.ts';
import { type PlanMessage, planQueue } from '../../sync/documents/messages.ts';
import { failPoisonedPlan } from '../../sync/run/plan-run.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Handles a plan that failed too often: the run fails, and the next run starts anew. */
app.storageQueue('planRunPoison', {
  queueName: `${planQueue}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(async (message) => failPoisonedPlan(await syncServices(), message as PlanMessage)),
});
