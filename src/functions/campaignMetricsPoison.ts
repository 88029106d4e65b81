import { metricsQueue } from '../metrics/journal/drain-queue.ts';
import { receiveDrain } from '../metrics/write/receive-drain.ts';
import { rescheduleDrain } from '../metrics/write/reschedule-drain.ts';
import { metricsServices } from '../metrics-services.ts';
import { registerQueue } from '../register-functions.ts';

/** Handles a drain message that failed too often: logs it and schedules another drain. */
registerQueue('campaignMetricsPoison', `${metricsQueue}-poison`, (environment, queue) =>
  receiveDrain(queue, () => metricsServices(environment), rescheduleDrain),
);
