import { registerQueue } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { mergeQueue } from '../../sync/documents/messages.ts';
import { mergeRound } from '../../sync/merge/merge-round.ts';
import { receive } from '../../sync/run/receive-message.ts';

/** Merges a fetched round into the database, then starts the next round or ends the run. */
registerQueue('mergeRound', mergeQueue, (environment, queue) =>
  receive('merge', queue, () => syncServices(environment), mergeRound),
);
