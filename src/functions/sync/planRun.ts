import { registerQueue } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { planQueue } from '../../sync/documents/messages.ts';
import { planRun } from '../../sync/run/plan-run.ts';
import { receive } from '../../sync/run/receive-message.ts';

/** Plans a run that was started: reads the metadata, chooses strategies, requests the first slice of each table. */
registerQueue('planRun', planQueue, (environment, queue) =>
  receive('plan', queue, () => syncServices(environment), planRun),
);
