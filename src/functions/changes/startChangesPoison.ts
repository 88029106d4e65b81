import { app } from '@azure/functions';
import { queueName } from '../../config/queue-names.ts';
import { syncServices } from '../../services.ts';
import { dropPoisonedChanges } from '../../sync/changes/start-changes.ts';
import { changesQueue } from '../../sync/documents/messages.ts';
import { receive } from '../../sync/run/receive-message.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Handles a message about changes that failed too often: the changes wait for the next one, or for the timer. */
app.storageQueue('startChangesPoison', {
  queueName: `${queueName(changesQueue)}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(
    receive('changes', `${queueName(changesQueue)}-poison`, syncServices, dropPoisonedChanges),
  ),
});
