import type { DequeuedMessageItem } from '@azure/storage-queue';
import { type RegisteredFunction, triggerOf } from '../core-api.ts';
import type { QueueOptions } from '../host-json.ts';
import type { Invoker } from '../invoker.ts';
import type { Log } from '../log.ts';
import { HeldMessage } from './held-message.ts';
import type { Queue } from './queue.ts';

/** Minimum milliseconds between two polls of an empty queue. */
const MIN_POLLING_INTERVAL = 100;

interface Options {
  fn: RegisteredFunction;
  queue: Queue;
  poisonQueue: Queue;
  queueOptions: QueueOptions;
  invoker: Invoker;
  log: Log;
  /** Seconds for which a message is hidden while its function runs; renewed at half. */
  hiddenSeconds: number;
}

/**
 * A queue trigger. It receives `batchSize` messages whenever at most `newBatchThreshold` are being handled. It deletes
 * a message after success, makes it visible again `visibilityTimeout` after a failure, and moves it to
 * `<queue>-poison` after `maxDequeueCount` failures or if it cannot be decoded
 * (learn.microsoft.com: Azure Queue storage trigger for Azure Functions).
 */
export class QueueListener {
  readonly #options: Options;
  readonly #stopping = new AbortController();
  readonly #held = new Set<HeldMessage>();
  readonly #category: string;
  #loop: Promise<void> | undefined;
  #wakeUp: (() => void) | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.#category = `Function.${options.fn.metadata.name}`;
  }

  async start(): Promise<void> {
    await this.#options.queue.create();
    this.#loop = this.#listen();
  }

  /** Receives no more messages. Invocations that are running continue. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wakeUp?.();
    await this.#loop;
  }

  /** Makes the messages that are still being handled visible again, so that the next process receives them at once. */
  async releaseAll(): Promise<void> {
    await Promise.allSettled([...this.#held].map((message) => message.release(0)));
  }

  /** Runs the function now with this input, without a message. */
  async invoke(input: string): Promise<void> {
    const { fn, invoker } = this.#options;
    await invoker.invoke(fn, {
      reason: 'This function was programmatically called.',
      inputData: [{ name: triggerOf(fn.metadata)[0], data: { string: input } }],
    });
  }

  async #listen(): Promise<void> {
    const { queue, queueOptions } = this.#options;
    const { signal } = this.#stopping;
    let pause = MIN_POLLING_INTERVAL;
    while (!signal.aborted) {
      if (this.#held.size > queueOptions.newBatchThreshold) {
        await new Promise<void>((resolve) => {
          this.#wakeUp = resolve;
        });
        continue;
      }
      const { wakes } = queue;
      const messages = await this.#receive();
      for (const message of messages) this.#handle(message);
      if (messages.length > 0) {
        pause = MIN_POLLING_INTERVAL;
      } else {
        await queue.wait(Math.min(pause, queueOptions.maxPollingInterval), signal, wakes);
        const wasWoken = wakes !== queue.wakes;
        pause = wasWoken ? MIN_POLLING_INTERVAL : Math.min(pause * 2, queueOptions.maxPollingInterval);
      }
    }
  }

  async #receive(): Promise<DequeuedMessageItem[]> {
    const { queue, queueOptions } = this.#options;
    try {
      const { receivedMessageItems } = await queue.client.receiveMessages({
        numberOfMessages: queueOptions.batchSize,
        visibilityTimeout: this.#options.hiddenSeconds,
      });
      return receivedMessageItems;
    } catch (error) {
      this.#log('error', `Cannot read queue '${queue.client.name}': ${(error as Error).message}`);
      await queue.wait(1000, this.#stopping.signal);
      return [];
    }
  }

  #handle(item: DequeuedMessageItem): void {
    const message = new HeldMessage(item, this.#options.queue, this.#options.hiddenSeconds, (error) =>
      this.#log('warning', `Cannot keep message ${item.messageId} hidden: ${error.message}`),
    );
    this.#held.add(message);
    this.#process(item, message)
      .catch((error) => this.#log('error', `Message ${item.messageId}: ${(error as Error).message}`))
      .finally(() => {
        message.close();
        this.#held.delete(message);
        this.#wakeUp?.();
      });
  }

  async #process(item: DequeuedMessageItem, message: HeldMessage): Promise<void> {
    const { queue, queueOptions, fn, invoker } = this.#options;
    const text = queue.decode(item.messageText);
    if (text === undefined) {
      return this.#poison(item, message, `is not ${queueOptions.messageEncoding}-encoded text`);
    }
    // A process that was killed during each delivery did not move the message, so do it now.
    const timesDequeued = `has been dequeued ${item.dequeueCount} of ${queueOptions.maxDequeueCount} times`;
    if (item.dequeueCount > queueOptions.maxDequeueCount) return this.#poison(item, message, timesDequeued);
    const [trigger] = triggerOf(fn.metadata);
    try {
      await invoker.invoke(fn, {
        reason: `New queue message detected on '${queue.client.name}'.`,
        inputData: [{ name: trigger, data: { string: text } }],
        triggerMetadata: {
          QueueTrigger: { string: text },
          Id: { string: item.messageId },
          PopReceipt: { string: item.popReceipt },
          DequeueCount: { json: String(item.dequeueCount) },
          InsertionTime: { json: JSON.stringify(item.insertedOn) },
          ExpirationTime: { json: JSON.stringify(item.expiresOn) },
          NextVisibleTime: { json: JSON.stringify(item.nextVisibleOn) },
        },
      });
    } catch {
      // The invoker has logged the error.
      if (item.dequeueCount >= queueOptions.maxDequeueCount)
        return this.#poison(item, message, timesDequeued);
      return message.release(Math.ceil(queueOptions.visibilityTimeout / 1000));
    }
    await message.delete();
  }

  async #poison(item: DequeuedMessageItem, message: HeldMessage, reason: string): Promise<void> {
    const { poisonQueue } = this.#options;
    const { name } = poisonQueue.client;
    this.#log('warning', `Message ${item.messageId} ${reason}. Moving it to queue '${name}'.`);
    await poisonQueue.sendEncoded(item.messageText);
    await message.delete();
  }

  #log(level: 'warning' | 'error', message: string): void {
    this.#options.log({ level, category: this.#category, message });
  }
}
