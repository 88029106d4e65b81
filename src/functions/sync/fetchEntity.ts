import { app } from '@azure/functions';
import { syncServices } from '../../services.ts';
import { type FetchMessage, fetchQueue } from '../../sync/documents/messages.ts';
import { fetchSlice } from '../../sync/fetch/fetch-slice.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Fetches one slice of one table from Dataverse into a shard. */
app.storageQueue('fetchEntity', {
  queueName: fetchQueue,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(async (message, context) => {
    const redelivered = Number(context.triggerMetadata?.dequeueCount ?? 1) > 1;
    await fetchSlice(await syncServices(), message as FetchMessage, { redelivered });
  }),
});
