import { app } from '@azure/functions';
import { queueName } from '../../config/queue-names.ts';
import { syncServices } from '../../services.ts';
import { fetchQueue } from '../../sync/documents/messages.ts';
import { fetchSlice } from '../../sync/fetch/fetch-slice.ts';
import { receive } from '../../sync/run/receive-message.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Fetches one slice of one table from Dataverse into a shard. */
app.storageQueue('fetchEntity', {
  queueName: queueName(fetchQueue),
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(receive('fetch', queueName(fetchQueue), syncServices, fetchSlice)),
});
