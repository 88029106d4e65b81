import { registerQueue } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { fetchQueue } from '../../sync/documents/messages.ts';
import { failPoisonedTable } from '../../sync/fetch/fail-table.ts';
import { receive } from '../../sync/run/receive-message.ts';

/** Handles a slice that failed too often: marks its table as failed, and the run ends without it. */
registerQueue('fetchEntityPoison', `${fetchQueue}-poison`, (environment, queue) =>
  receive('fetch', queue, () => syncServices(environment), failPoisonedTable),
);
