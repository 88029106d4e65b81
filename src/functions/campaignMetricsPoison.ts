import { app } from '@azure/functions';
import { queueName } from '../config/queue-names.ts';
import { metricsQueue } from '../metrics/journal/drain-queue.ts';
import { receiveDrain } from '../metrics/write/receive-drain.ts';
import { rescheduleDrain } from '../metrics/write/reschedule-drain.ts';
import { metricsServices } from '../metrics-services.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** Handles a drain message that failed too often: logs it and schedules another drain. */
app.storageQueue('campaignMetricsPoison', {
  queueName: `${queueName(metricsQueue)}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(receiveDrain(`${queueName(metricsQueue)}-poison`, metricsServices, rescheduleDrain)),
});
