import type { QueueClient } from '@azure/storage-queue';
import { RestError } from '@azure/storage-queue';

/** Where wake-ups go; what fails too often goes to this name + `-poison`. */
export const metricsQueue = 'campaign-metrics';

/** What the queue `campaign-metrics` carries: no data, only that the journal has something to write. */
export interface WakeUpMessage {
  journal: 'campaign-metrics';
  sentAt: string;
}

/** An insurance message shows up after this long … */
const insuranceSeconds = 20;
/** … and covers appends for as long as it is this far from showing up. */
const coversMs = 10_000;
/** Wake-ups right after each other are one. */
const settleMs = 100;

/**
 * Wakes the function that writes the journal. Records are acknowledged only when a message that will find
 * them is in the queue already, so a crash at any moment loses no record.
 */
export class WakeUp {
  readonly #queue: QueueClient;
  readonly #now: () => number;
  #insuredUntil = 0;
  #insuring: Promise<void> | undefined;
  #soon: NodeJS.Timeout | undefined;

  constructor(queue: QueueClient, now: () => number = Date.now) {
    this.#queue = queue;
    this.#now = now;
  }

  /**
   * To be awaited before an append: a message that shows up well after it. One message covers all appends
   * of this instance for some seconds.
   */
  insure(): Promise<void> {
    if (this.#insuredUntil - this.#now() > coversMs) return Promise.resolve();
    this.#insuring ??= this.later(insuranceSeconds)
      .then(() => {
        this.#insuredUntil = this.#now() + insuranceSeconds * 1000;
      })
      .finally(() => {
        this.#insuring = undefined;
      });
    return this.#insuring;
  }

  /** After an append: wakes at once, or with the others of the same moment. May be lost; insurance is not. */
  soon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.later(0).catch(() => undefined);
    }, settleMs);
  }

  /** Sends a message that shows up after so many seconds. */
  async later(seconds: number): Promise<void> {
    const message: WakeUpMessage = {
      journal: 'campaign-metrics',
      sentAt: new Date(this.#now()).toISOString(),
    };
    // The host decodes base64 (host.json); plain text would go to the poison queue without a word.
    const text = Buffer.from(JSON.stringify(message)).toString('base64');
    const options = { visibilityTimeout: Math.max(0, Math.round(seconds)), messageTimeToLive: -1 };
    try {
      await this.#queue.sendMessage(text, options);
    } catch (error) {
      if (!(error instanceof RestError) || error.code !== 'QueueNotFound') throw error;
      await this.#queue.createIfNotExists();
      await this.#queue.sendMessage(text, options);
    }
  }
}
