import { app } from '@azure/functions';
import { syncServices } from '../services.ts';
import { type FetchMessage, fetchQueue } from '../sync/documents/messages.ts';
import { failPoisonedTable } from '../sync/fetch/fail-table.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** A slice that failed too often: its entity is marked failed, and the run ends without it. */
app.storageQueue('fetchEntityPoison', {
  queueName: `${fetchQueue}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: (message, context) =>
    inInvocation(context, async () => {
      await failPoisonedTable(await syncServices(), message as FetchMessage);
    }),
});
