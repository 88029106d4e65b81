import type { Telemetry } from '../telemetry/telemetry.ts';

/** What is added to a queue message on its way. */
export interface Envelope {
  /** The app that sent it; absent in messages of an earlier version. */
  app?: string;
  /** Of the run or the invocation that it belongs to (w3.org/TR/trace-context): queues have no field for it. */
  traceparent?: string;
  /** How often an app gave it back, because it is another one's. */
  returned?: number;
}

/** Seconds after which a message of another app can be delivered again. */
const returnSeconds = 1;
/** How often a message of another app is given back, until nobody seems to want it: more than a day. */
const maxReturns = 100_000;

/**
 * Gives a message of another app back, so that two apps that share a queue by mistake stop neither, and says so in the
 * log.
 * @param send sends a message to the queue again, to be delivered after some seconds
 */
export async function returnMessage(
  message: Envelope & { app: string },
  queue: string,
  send: (message: object, delaySeconds: number) => Promise<void>,
  { log }: Pick<Telemetry, 'log'>,
): Promise<void> {
  const { app, returned = 0 } = message;
  if (returned >= maxReturns) {
    log('error', `Dropped a message of ${queue} that ${app} has not taken for days.`, { app });
    return;
  }
  await send({ ...message, returned: returned + 1 }, returnSeconds);
  // The first time, and then rarely: the message may come back often.
  if ((returned + 1) % 1000 !== 0 && returned !== 0) return;
  log('error', `The queue ${queue} is shared with another app, ${app}. Its message was given back.`, {
    app,
    hint: 'Set SYNC_QUEUE_PREFIX of one of them to a name of its own.',
  });
}
