import { app } from '@azure/functions';
import { drainJournal } from '../metrics/write/drain-journal.ts';
import { metricsQueue } from '../metrics/write/wake-up.ts';
import { metricsServices } from '../metrics-services.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** Writes queued campaign metrics to Dataverse. The message only says that there are some. */
app.storageQueue('campaignMetricsWrite', {
  queueName: metricsQueue,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(async () => void (await drainJournal(metricsServices()))),
});
