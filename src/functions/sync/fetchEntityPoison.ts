import { app } from '@azure/functions';
import { syncServices } from '../../services.ts';
import { type FetchMessage, fetchQueue } from '../../sync/documents/messages.ts';
import { failPoisonedTable } from '../../sync/fetch/fail-table.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Handles a slice that failed too often: marks its table as failed, and the run ends without it. */
app.storageQueue('fetchEntityPoison', {
  queueName: `${fetchQueue}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(async (message) => failPoisonedTable(await syncServices(), message as FetchMessage)),
});
