import { registerQueue } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { failPoisonedCheck } from '../../sync/check/run-check.ts';
import { checkQueue } from '../../sync/documents/messages.ts';
import { receive } from '../../sync/run/receive-message.ts';

/** Handles a step of a check that failed too often: the check fails, and the last result stays. */
registerQueue('checkDatabasePoison', `${checkQueue}-poison`, (environment, queue) =>
  receive('check', queue, () => syncServices(environment), failPoisonedCheck),
);
