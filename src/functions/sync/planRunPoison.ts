import { registerQueue } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { planQueue } from '../../sync/documents/messages.ts';
import { failPoisonedPlan } from '../../sync/run/plan-run.ts';
import { receive } from '../../sync/run/receive-message.ts';

/** Handles a plan that failed too often: the run fails, and the next run starts anew. */
registerQueue('planRunPoison', `${planQueue}-poison`, (environment, queue) =>
  receive('plan', queue, () => syncServices(environment), failPoisonedPlan),
);
