import type { QueueClient } from '@azure/storage-queue';
import { ConfigurationError } from '../errors.ts';
import { statusOf, withStorageErrors } from './errors.ts';

/** A queue belongs to its app until the app has started nothing for this long, in milliseconds. */
const ownedMilliseconds = 7 * 86_400_000;
/** How old the mark may become before a start renews it. */
const renewMilliseconds = 3_600_000;

/**
 * Marks a queue as that of one app. Two apps with queues of the same names take each other's messages: each then finds
 * no such run, or worse, handles it with its own settings.
 */
export class QueueOwner {
  readonly #queue: QueueClient;
  readonly #app: string;

  /** @param app names the app, for people and for comparison */
  constructor(queue: QueueClient, app: string) {
    this.#queue = queue;
    this.#app = app;
  }

  /** Takes or renews the queue. @throws ConfigurationError if it belongs to another app */
  claim(now: Date): Promise<void> {
    return withStorageErrors('look up', this.#queue.name, async () => {
      const mark = await this.#read();
      const age = now.getTime() - Date.parse(mark?.seen ?? '');
      if (mark?.app === this.#app && age < renewMilliseconds) return;
      if (mark?.app !== undefined && mark.app !== this.#app && age < ownedMilliseconds)
        this.#refuse(mark.app);
      await this.#queue.setMetadata({ app: this.#app, seen: now.toISOString() });
      // Another app may have done the same at the same time. The later mark is the one that both find.
      const after = await this.#read();
      if (after?.app !== undefined && after.app !== this.#app) this.#refuse(after.app);
    });
  }

  async #read(): Promise<{ app?: string; seen?: string } | undefined> {
    try {
      return (await this.#queue.getProperties()).metadata;
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
      await this.#queue.createIfNotExists();
      return undefined;
    }
  }

  #refuse(owner: string): never {
    const { name } = this.#queue;
    throw new ConfigurationError(
      `The queue ${name} of this storage account belongs to another app (${owner}).`,
      {
        operation: 'start a sync',
        object: name,
        hint:
          `Set SYNC_QUEUE_PREFIX, SYNC_WORK_CONTAINER and SYNC_DATABASE_CONTAINER of this app (${this.#app}) to names of its own. ` +
          `If ${owner} no longer exists or is this app under an earlier name, delete the queue ${name}; the next start creates it again.`,
      },
    );
  }
}
