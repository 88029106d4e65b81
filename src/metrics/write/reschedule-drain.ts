import type { MetricsServices } from '../services.ts';

/** Long enough for a storage fault to pass, short enough not to delay the records much. */
const delaySeconds = 300;

/**
 * Handles a drain message that failed too often, because of a bug or a storage fault: logs it and schedules another
 * drain while records are pending. The records are safe in the journal and do not become poison.
 */
export async function rescheduleDrain(services: MetricsServices): Promise<void> {
  const { pending, state } = await services.journal.progress();
  if (!pending) return;
  const { generation, offset, failures, poison } = state;
  services.log('error', 'The drain of campaign metrics failed repeatedly. It runs again later.', {
    generation,
    offset,
    failures,
    poison,
    retryInSeconds: delaySeconds,
    hint: 'See the failures of campaignMetricsWrite in the log. The records are safe in the journal.',
  });
  await services.drainQueue.schedule(delaySeconds);
}
