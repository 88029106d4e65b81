import { type Envelope, returnMessage } from '../../storage/return-message.ts';
import type { MetricsServices } from '../services.ts';

/**
 * Makes the handler of a queue function from what it does. Any message starts it, also one of an earlier version, which
 * names no app: a drain too many does no harm. A message of another app is given back, because a drain here does not
 * write what that app has queued.
 * @param queue the name of the queue that the function listens to
 */
export function receiveDrain(
  queue: string,
  services: () => MetricsServices,
  handle: (services: MetricsServices) => Promise<unknown>,
): (message: unknown) => Promise<void> {
  return async (message) => {
    const all = services();
    const app = appOf(message);
    if (app === undefined || app === all.app) return void (await handle(all));
    const send = (again: object, seconds: number) => all.sendTo(queue, again, seconds);
    await returnMessage({ ...(message as Envelope), app }, queue, send, all);
  };
}

function appOf(message: unknown): string | undefined {
  const { app } = (typeof message === 'object' && message !== null ? message : {}) as Envelope;
  return typeof app === 'string' ? app : undefined;
}
