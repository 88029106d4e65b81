import type { MetricsServices } from '../services.ts';

/** Long enough for whatever broke the writer five times to pass, short enough not to be missed. */
const againAfterSeconds = 300;

/**
 * A wake-up that failed too often, by a mistake or a storage fault: the records are safe in the journal, so
 * it is said loudly and another wake-up is sent. Records never become poison because of this.
 */
export async function healPoisonedWakeUp(services: MetricsServices): Promise<void> {
  const { pending, state } = await services.journal.progress();
  if (!pending) return;
  services.log('error', 'Writing campaign metrics failed again and again; it is tried again later.', {
    generation: state.generation,
    offset: state.offset,
    retryInSeconds: againAfterSeconds,
    hint: 'See the failures of campaignMetricsWrite in the log. The records are safe in the journal.',
  });
  await services.wakeUp.later(againAfterSeconds);
}
