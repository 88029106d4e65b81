import { app } from '@azure/functions';
import { queueName } from '../../config/queue-names.ts';
import { syncServices } from '../../services.ts';
import { exportQueue } from '../../sync/documents/messages.ts';
import { exportTables } from '../../sync/export/export-tables.ts';
import { receive } from '../../sync/run/receive-message.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Writes what changed in the database to the landing zone, then requests the rest. */
app.storageQueue('exportTables', {
  queueName: queueName(exportQueue),
  connection: 'AzureWebJobsStorage',
  handler: inInvocation(receive('export', queueName(exportQueue), syncServices, exportTables)),
});
