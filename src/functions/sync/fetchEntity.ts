import { registerQueue } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { fetchQueue } from '../../sync/documents/messages.ts';
import { fetchSlice } from '../../sync/fetch/fetch-slice.ts';
import { receive } from '../../sync/run/receive-message.ts';

/** Fetches one slice of one table from Dataverse into a shard. */
registerQueue('fetchEntity', fetchQueue, (environment, queue) =>
  receive('fetch', queue, () => syncServices(environment), fetchSlice),
);
