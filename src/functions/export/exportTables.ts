import { registerQueue } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { exportQueue } from '../../sync/documents/messages.ts';
import { exportTables } from '../../sync/export/export-tables.ts';
import { receive } from '../../sync/run/receive-message.ts';

/** Writes what changed in the database to the landing zone, then requests the rest. */
registerQueue('exportTables', exportQueue, (environment, queue) =>
  receive('export', queue, () => syncServices(environment), exportTables),
);
