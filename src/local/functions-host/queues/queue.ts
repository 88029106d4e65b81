import { isUtf8 } from 'node:buffer';
import type { QueueClient } from '@azure/storage-queue';

/** One queue with its message encoding. Its waiting listeners wake when somebody says that it has a new message. */
export class Queue {
  readonly client: QueueClient;
  readonly #encoding: 'base64' | 'none';
  readonly #waiting = new Set<() => void>();
  /** How often somebody said so. */
  wakes = 0;
  #created: Promise<unknown> | undefined;

  constructor(client: QueueClient, encoding: 'base64' | 'none') {
    this.client = client;
    this.#encoding = encoding;
  }

  /** Creates the queue once. */
  create(): Promise<unknown> {
    this.#created ??= this.client.createIfNotExists().catch((error) => {
      this.#created = undefined;
      throw error;
    });
    return this.#created;
  }

  async send(message: string | Uint8Array): Promise<void> {
    await this.sendEncoded(
      this.#encoding === 'base64' ? Buffer.from(message).toString('base64') : asText(message),
    );
  }

  /** Sends a text that is already encoded, for example to the poison queue. */
  async sendEncoded(text: string): Promise<void> {
    await this.create();
    await this.client.sendMessage(text);
    this.wake();
  }

  /** There is a new message. */
  wake(): void {
    this.wakes += 1;
    for (const wake of this.#waiting) wake();
  }

  /** The message's text, or undefined if it is not in the queue's encoding. */
  decode(text: string): string | undefined {
    if (this.#encoding === 'none') return text;
    const bytes = Buffer.from(text, 'base64');
    const canonical = bytes.toString('base64') === text.trim();
    return canonical && isUtf8(bytes) ? bytes.toString('utf8') : undefined;
  }

  /**
   * Waits for `milliseconds`, until there is a new message, or until `signal` aborts.
   * @param wakes the value of `wakes` before the caller last looked, so that no message is missed in between
   */
  wait(milliseconds: number, signal: AbortSignal, wakes = this.wakes): Promise<void> {
    if (wakes !== this.wakes) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.#waiting.add(done);
      signal.addEventListener('abort', done);
      if (signal.aborted) done();
    });
  }
}

function asText(message: string | Uint8Array): string {
  return typeof message === 'string' ? message : Buffer.from(message).toString('utf8');
}
