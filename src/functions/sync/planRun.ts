import { app } from '@azure/functions';
import { syncServices } from '../../services.ts';
import { type PlanMessage, planQueue } from '../../sync/documents/messages.ts';
import { planRun } from '../../sync/run/plan-run.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Plans a run that was started: reads the metadata, chooses strategies, requests the first slice of each table. */
app.storageQueue('planRun', {
  queueName: planQueue,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(async (message, context) => {
    const redelivered = Number(context.triggerMetadata?.dequeueCount ?? 1) > 1;
    await planRun(await syncServices(), message as PlanMessage, { redelivered });
  }),
});
