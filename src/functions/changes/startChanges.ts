import { app } from '@azure/functions';
import { queueName } from '../../config/queue-names.ts';
import { syncServices } from '../../services.ts';
import { startChanges } from '../../sync/changes/start-changes.ts';
import { changesQueue } from '../../sync/documents/messages.ts';
import { receive } from '../../sync/run/receive-message.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Starts a run of the tables that have changed in Dataverse. */
app.storageQueue('startChanges', {
  queueName: queueName(changesQueue),
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(receive('changes', queueName(changesQueue), syncServices, startChanges)),
});
