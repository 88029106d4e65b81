import { app } from '@azure/functions';
import { queueName } from '../../config/queue-names.ts';
import { syncServices } from '../../services.ts';
import { exportQueue } from '../../sync/documents/messages.ts';
import { failPoisonedExport } from '../../sync/export/export-tables.ts';
import { receive } from '../../sync/run/receive-message.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Handles an export that failed too often. The next run requests it again. */
app.storageQueue('exportTablesPoison', {
  queueName: `${queueName(exportQueue)}-poison`,
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(
    receive('export', `${queueName(exportQueue)}-poison`, syncServices, failPoisonedExport),
  ),
});
