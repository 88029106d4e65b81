import { metricsQueue } from '../metrics/journal/drain-queue.ts';
import { drainJournal } from '../metrics/write/drain-journal.ts';
import { receiveDrain } from '../metrics/write/receive-drain.ts';
import { metricsServices } from '../metrics-services.ts';
import { registerQueue } from '../register-functions.ts';

/** Writes queued campaign metrics to Dataverse. The message holds no records; they are in the journal. */
registerQueue('campaignMetricsWrite', metricsQueue, (environment, queue) =>
  receiveDrain(queue, () => metricsServices(environment), drainJournal),
);
