import { app } from '@azure/functions';
import { queueName } from '../../config/queue-names.ts';
import { syncServices } from '../../services.ts';
import { planQueue } from '../../sync/documents/messages.ts';
import { planRun } from '../../sync/run/plan-run.ts';
import { receive } from '../../sync/run/receive-message.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Plans a run that was started: reads the metadata, chooses strategies, requests the first slice of each table. */
app.storageQueue('planRun', {
  queueName: queueName(planQueue),
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(receive('plan', queueName(planQueue), syncServices, planRun)),
});
