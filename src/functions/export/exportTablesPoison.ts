import { registerQueue } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { exportQueue } from '../../sync/documents/messages.ts';
import { failPoisonedExport } from '../../sync/export/export-tables.ts';
import { receive } from '../../sync/run/receive-message.ts';

/** Handles an export that failed too often. The next run requests it again. */
registerQueue('exportTablesPoison', `${exportQueue}-poison`, (environment, queue) =>
  receive('export', queue, () => syncServices(environment), failPoisonedExport),
);
