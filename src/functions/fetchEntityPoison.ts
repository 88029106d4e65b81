import { app } from '@azure/functions';
import { syncServices } from '../services.ts';
import { type FetchMessage, fetchQueue } from '../sync/documents/run-documents.ts';
import { failPoisonedEntity } from '../sync/fetch/fail-entity.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** A slice that failed too often: its entity is marked failed, and the run ends without it. */
app.storageQueue('fetchEntityPoison', {
  queueName: `${fetchQueue}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: (message, context) =>
    inInvocation(context, async () => {
      await failPoisonedEntity(await syncServices(), message as FetchMessage);
    }),
});
