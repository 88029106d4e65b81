import { type Envelope, returnMessage } from '../../storage/return-message.ts';
import { parseTraceparent } from '../../telemetry/traceparent.ts';
import { inSpan } from '../../telemetry/tracing.ts';
import type { DrainSender } from '../journal/drain-queue.ts';
import { OtherEnvironmentError } from '../journal/journal-owner.ts';
import type { MetricsServices } from '../services.ts';

/**
 * Makes the handler of a queue function from what it does. Any message starts it, whatever it says about its origin: a
 * drain too many does no harm, and costs little. A message of another journal is then given back, because a drain here
 * does not write what the other app has queued. Those of earlier versions name no journal. All messages are given back if
 * the journal is of another environment of Dataverse.
 * @param queue the name of the queue that the function listens to
 */
export function receiveDrain(
  queue: string,
  services: () => MetricsServices,
  handle: (services: MetricsServices) => Promise<unknown>,
): (message: unknown) => Promise<void> {
  const isPoison = queue.endsWith('-poison');
  const name = isPoison ? 'campaignMetricsPoison' : 'campaignMetricsWrite';
  return async (message) => {
    const all = services();
    const { app, container, traceparent } = senderOf(message);
    const isOther = typeof container === 'string' && container !== all.journal.place;
    let owner = isOther ? `${app ?? 'without a name'} (${container})` : undefined;
    try {
      if (isPoison) all.event('MessagePoisoned', { queue }, {});
      // One drain writes what many requests have queued: they are linked, not its parents.
      const links = [parseTraceparent(traceparent)];
      await inSpan(name, { links }, () => handle(all));
    } catch (error) {
      if (!(error instanceof OtherEnvironmentError)) throw error;
      owner ??= error.owner;
    }
    if (owner !== undefined) await giveBack(senderOf(message), owner, queue, all);
  };
}

function senderOf(message: unknown): Envelope & Partial<DrainSender> {
  return typeof message === 'object' && message !== null ? message : {};
}

/** @param owner names the other app in the log */
async function giveBack(
  message: Envelope,
  owner: string,
  queue: string,
  services: MetricsServices,
): Promise<void> {
  const send = ({ app: _, ...again }: Envelope, seconds: number) =>
    services.sendTo(queue, { ...message, ...again }, seconds);
  await returnMessage({ ...message, app: owner }, queue, send, services);
}
