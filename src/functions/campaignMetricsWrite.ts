import { app } from '@azure/functions';
import { queueName } from '../config/queue-names.ts';
import { metricsQueue } from '../metrics/journal/drain-queue.ts';
import { drainJournal } from '../metrics/write/drain-journal.ts';
import { receiveDrain } from '../metrics/write/receive-drain.ts';
import { metricsServices } from '../metrics-services.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** Writes queued campaign metrics to Dataverse. The message holds no records; they are in the journal. */
app.storageQueue('campaignMetricsWrite', {
  queueName: queueName(metricsQueue),
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(receiveDrain(queueName(metricsQueue), metricsServices, drainJournal)),
});
