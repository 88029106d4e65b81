import { registerQueue } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { dropPoisonedChanges } from '../../sync/changes/start-changes.ts';
import { changesQueue } from '../../sync/documents/messages.ts';
import { receive } from '../../sync/run/receive-message.ts';

/** Handles a message about changes that failed too often: the changes wait for the next one, or for the timer. */
registerQueue('startChangesPoison', `${changesQueue}-poison`, (environment, queue) =>
  receive('changes', queue, () => syncServices(environment), dropPoisonedChanges),
);
