import { isUtf8 } from 'node:buffer';
import type { QueueClient } from '@azure/storage-queue';

/** One queue with its message encoding. A message sent through this object wakes its waiting listeners. */
export class Queue {
  readonly client: QueueClient;
  readonly #encoding: 'base64' | 'none';
  readonly #waiting = new Set<() => void>();
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
    for (const wake of this.#waiting) wake();
  }

  /** The message's text, or undefined if it is not in the queue's encoding. */
  decode(text: string): string | undefined {
    if (this.#encoding === 'none') return text;
    const bytes = Buffer.from(text, 'base64');
    const canonical = bytes.toString('base64') === text.trim();
    return canonical && isUtf8(bytes) ? bytes.toString('utf8') : undefined;
  }

  /** Waits for `milliseconds`, until a message is sent through this object, or until `signal` aborts. */
  wait(milliseconds: number, signal: AbortSignal): Promise<void> {
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
