import { registerQueue } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { runCheck } from '../../sync/check/run-check.ts';
import { checkQueue } from '../../sync/documents/messages.ts';
import { receive } from '../../sync/run/receive-message.ts';

/** Does one step of a check of the database, then requests the next one. */
registerQueue('checkDatabase', checkQueue, (environment, queue) =>
  receive('check', queue, () => syncServices(environment), runCheck),
);
