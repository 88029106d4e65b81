import type { QueueClient } from '@azure/storage-queue';
import { queueSender } from '../../storage/queue-sender.ts';
import { currentTraceparent } from '../../telemetry/tracing.ts';

/** The queue that triggers drains. The host moves messages that fail five times to this name + `-poison`. */
export const metricsQueue = 'campaign-metrics';

/** A message that covers appends becomes visible after this long … */
const coverSeconds = 20;
/** … and covers the appends that begin earlier than this before it does. */
const coverMarginMs = 10_000;
/** Triggers within this time send one message. */
const triggerDelayMs = 100;

/** What a message says about its origin. */
export interface DrainSender {
  /** The name of the app, for people: it can change, and two apps can have the same. */
  app: string;
  /** Which journal is to be drained; see `Journal.place`. An app with another journal gives the message back. */
  container: string;
}

/**
 * The queue whose messages start a drain of the journal. They hold no records, and a message too many does no harm.
 * A record is acknowledged only when a message that will find it is in the queue, so a crash loses none.
 */
export class DrainQueue {
  readonly #send;
  readonly #sender: DrainSender;
  readonly #now: () => number;
  #coveredUntil = 0;
  #covered = Promise.resolve();
  #trigger: NodeJS.Timeout | undefined;

  constructor(queue: QueueClient, sender: DrainSender, now: () => number = Date.now) {
    this.#send = queueSender(queue);
    this.#sender = sender;
    this.#now = now;
  }

  /**
   * Makes sure that a drain starts some time after the append that follows. To be awaited before the append.
   * One message covers all appends of this instance for some seconds.
   */
  cover(): Promise<void> {
    const now = this.#now();
    if (this.#coveredUntil - now < coverMarginMs) {
      this.#coveredUntil = now + coverSeconds * 1000;
      this.#covered = this.schedule(coverSeconds).catch((error: unknown) => {
        this.#coveredUntil = 0;
        throw error;
      });
    }
    return this.#covered;
  }

  /** Starts a drain soon after an append. The message can get lost: `cover` is what guarantees a drain. */
  trigger(): void {
    this.#trigger ??= setTimeout(() => {
      this.#trigger = undefined;
      this.schedule(0).catch(() => undefined);
    }, triggerDelayMs);
  }

  /** Starts a drain after a number of seconds. */
  schedule(seconds: number): Promise<void> {
    const sentAt = new Date(this.#now()).toISOString();
    const traceparent = currentTraceparent();
    const message = { journal: 'campaign-metrics', sentAt, ...this.#sender, traceparent };
    return this.#send(message, {
      visibilityTimeout: Math.max(0, Math.round(seconds)),
      messageTimeToLive: -1,
    });
  }
}
