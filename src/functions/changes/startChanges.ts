import { registerQueue } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { startChanges } from '../../sync/changes/start-changes.ts';
import { changesQueue } from '../../sync/documents/messages.ts';
import { receive } from '../../sync/run/receive-message.ts';

/** Starts a run of the tables that have changed in Dataverse. */
registerQueue('startChanges', changesQueue, (environment, queue) =>
  receive('changes', queue, () => syncServices(environment), startChanges),
);
