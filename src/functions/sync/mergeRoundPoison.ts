import { registerQueue } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { mergeQueue } from '../../sync/documents/messages.ts';
import { failPoisonedRun } from '../../sync/run/fail-run.ts';
import { receive } from '../../sync/run/receive-message.ts';

/** Handles a merge that failed too often: the run fails, and the next run starts from the last committed cursors. */
registerQueue('mergeRoundPoison', `${mergeQueue}-poison`, (environment, queue) =>
  receive('merge', queue, () => syncServices(environment), failPoisonedRun),
);
