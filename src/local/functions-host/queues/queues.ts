import { QueueServiceClient } from '@azure/storage-queue';
import { ConfigurationError } from '../../../errors.ts';
import { Queue } from './queue.ts';

/** The queues of triggers and output bindings, by connection. */
export class Queues {
  readonly #services = new Map<string, QueueServiceClient>();
  readonly #queues = new Map<string, Queue>();
  readonly #settings: Readonly<Record<string, string | undefined>>;
  readonly #encoding: 'base64' | 'none';

  constructor(settings: Readonly<Record<string, string | undefined>>, encoding: 'base64' | 'none') {
    this.#settings = settings;
    this.#encoding = encoding;
  }

  /** The queue of a binding, whose `connection` names an app setting. */
  get(name: string, connection: unknown): Queue {
    const prefix = typeof connection === 'string' && connection !== '' ? connection : 'AzureWebJobsStorage';
    const key = `${prefix}/${name}`;
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = new Queue(this.#service(prefix).getQueueClient(checkName(name)), this.#encoding);
      this.#queues.set(key, queue);
    }
    return queue;
  }

  /** There is a new message in the queue `name`, of whatever connection. */
  wake(name: string): void {
    for (const queue of this.#queues.values()) if (queue.client.name === name) queue.wake();
  }

  #service(prefix: string): QueueServiceClient {
    const connectionString = this.#settings[`AzureWebJobs${prefix}`] ?? this.#settings[prefix];
    if (connectionString === undefined) {
      throw new ConfigurationError(`The app setting of the storage connection "${prefix}" is not set`, {
        object: prefix,
        hint: `Set ${prefix} to a connection string. Identity-based connections work on Azure only.`,
      });
    }
    let service = this.#services.get(connectionString);
    if (service === undefined) {
      service = QueueServiceClient.fromConnectionString(connectionString, {
        retryOptions: { maxTries: 4, retryDelayInMs: 100, maxRetryDelayInMs: 1000 },
      });
      this.#services.set(connectionString, service);
    }
    return service;
  }
}

function checkName(name: string): string {
  if (/^[a-z0-9](?:-?[a-z0-9])+$/.test(name) && name.length >= 3 && name.length <= 63) return name;
  throw new ConfigurationError(`"${name}" is not a valid queue name`, {
    object: name,
    hint: 'Use 3 to 63 lower-case letters, digits and single hyphens.',
  });
}
