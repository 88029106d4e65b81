import type { DequeuedMessageItem } from '@azure/storage-queue';
import type { Queue } from './queue.ts';

/** A message that this process is handling. It stays hidden from other processes: its hidden time is renewed at half. */
export class HeldMessage {
  readonly #id: string;
  readonly #queue: Queue;
  readonly #timer: NodeJS.Timeout;
  #receipt: string;
  /** Changes run one after the other, because each returns a new pop receipt. */
  #last: Promise<unknown> = Promise.resolve();
  #over = false;

  constructor(item: DequeuedMessageItem, queue: Queue, seconds: number, onError: (error: Error) => void) {
    this.#id = item.messageId;
    this.#receipt = item.popReceipt;
    this.#queue = queue;
    this.#timer = setInterval(
      () => {
        this.#change(() => this.#hide(seconds)).catch(onError);
      },
      (seconds * 1000) / 2,
    );
  }

  /** Makes the message visible again after `seconds`. */
  release(seconds: number): Promise<void> {
    return this.#end(() => this.#hide(seconds));
  }

  delete(): Promise<void> {
    return this.#end(async () => {
      await this.#queue.client.deleteMessage(this.#id, this.#receipt);
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #end(change: () => Promise<void>): Promise<void> {
    if (this.#over) return Promise.resolve();
    this.#over = true;
    this.close();
    return this.#change(change);
  }

  #change(change: () => Promise<void>): Promise<void> {
    const next = this.#last.then(change);
    this.#last = next.catch(() => undefined);
    return next;
  }

  async #hide(seconds: number): Promise<void> {
    const { client } = this.#queue;
    const { popReceipt } = await client.updateMessage(this.#id, this.#receipt, undefined, seconds);
    if (popReceipt !== undefined) this.#receipt = popReceipt;
  }
}
