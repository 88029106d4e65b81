import { app } from '@azure/functions';
import { healPoisonedWakeUp } from '../metrics/write/poison-wake-up.ts';
import { metricsQueue } from '../metrics/write/wake-up.ts';
import { metricsServices } from '../metrics-services.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** A wake-up that failed too often: said in the log, and sent again later. */
app.storageQueue('campaignMetricsPoison', {
  queueName: `${metricsQueue}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: (_message, context) =>
    inInvocation(context, async () => {
      await healPoisonedWakeUp(metricsServices());
    }),
});
