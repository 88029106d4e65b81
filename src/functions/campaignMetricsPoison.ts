import { app } from '@azure/functions';
import { healPoisonedWakeUp } from '../metrics/write/poison-wake-up.ts';
import { metricsQueue } from '../metrics/write/wake-up.ts';
import { metricsServices } from '../metrics-services.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** Handles a wake-up message that failed too often: logs it, and sends another one later. */
app.storageQueue('campaignMetricsPoison', {
  queueName: `${metricsQueue}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(() => healPoisonedWakeUp(metricsServices())),
});
