import { isUtf8 } from 'node:buffer';
import { type QueueClient, QueueServiceClient } from '@azure/storage-queue';
import { ConfigurationError } from '../../../errors.ts';

/** The queues that triggers and output bindings name, by connection; each is created on first use. */
export class Queues {
  readonly #services = new Map<string, QueueServiceClient>();
  readonly #queues = new Map<string, Queue>();
  readonly #settings: Readonly<Record<string, string | undefined>>;
  readonly #encoding: 'base64' | 'none';

  constructor(settings: Readonly<Record<string, string | undefined>>, encoding: 'base64' | 'none') {
    this.#settings = settings;
    this.#encoding = encoding;
  }

  /** The queue of a binding; `connection` names a setting, as bindings write it. */
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

  #service(prefix: string): QueueServiceClient {
    const connectionString = this.#settings[`AzureWebJobs${prefix}`] ?? this.#settings[prefix];
    if (connectionString === undefined) {
      throw new ConfigurationError(`The storage connection "${prefix}" has no app setting`, {
        object: prefix,
        hint: `Set ${prefix} to a connection string; identity-based connections need Azure.`,
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

/** One queue with its message encoding. Those who wait for messages are woken by messages sent here. */
export class Queue {
  readonly client: QueueClient;
  readonly #encoding: 'base64' | 'none';
  readonly #waiting = new Set<() => void>();
  #created: Promise<unknown> | undefined;

  constructor(client: QueueClient, encoding: 'base64' | 'none') {
    this.client = client;
    this.#encoding = encoding;
  }

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

  /** Sends a text that is in the queue's encoding already, such as a message on its way to the poison queue. */
  async sendEncoded(text: string): Promise<void> {
    await this.create();
    await this.client.sendMessage(text);
    for (const wake of this.#waiting) wake();
  }

  /** The message's text, or undefined where it is not in the queue's encoding. */
  decode(text: string): string | undefined {
    if (this.#encoding === 'none') return text;
    const bytes = Buffer.from(text, 'base64');
    const canonical = bytes.toString('base64') === text.trim();
    return canonical && isUtf8(bytes) ? bytes.toString('utf8') : undefined;
  }

  /** Waits for `milliseconds`, or until a message is sent through this object, or until `signal` aborts. */
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

function checkName(name: string): string {
  if (/^[a-z0-9](?:-?[a-z0-9])+$/.test(name) && name.length >= 3 && name.length <= 63) return name;
  throw new ConfigurationError(`"${name}" cannot be the name of a queue`, {
    object: name,
    hint: 'Queue names have 3 to 63 lower-case letters, digits and single hyphens.',
  });
}
