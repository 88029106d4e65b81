/**
 * For applications: sends campaign metrics without blocking or breaking them.
 *
 * Records wait in a bounded queue in memory and are sent in batches. A batch that the endpoint does not accept now is
 * sent again, which is safe because the same campaign, run and phase is the same row.
 *
 * It uses nothing but `fetch` and timers, so it also runs in browsers, workers and edge runtimes.
 *
 * @example
 * import { writeCampaignMetrics } from 'campaign-metrics-client';
 * writeCampaignMetrics({ campaignId: 'spring', runId: 'run-7', … });
 */
import type { CampaignMetricsInput } from './contract/campaign-metrics-fields.ts';

export type { CampaignMetricsInput } from './contract/campaign-metrics-fields.ts';

export interface CampaignMetricsClientOptions {
  /** `https://<app>.azurewebsites.net/api/metrics/campaign`. @default the variable CAMPAIGN_METRICS_URL */
  url?: string | undefined;
  /** The function key. @default the variable CAMPAIGN_METRICS_KEY */
  key?: string | undefined;
  /** Maximum number of waiting records. When the queue is full, new records are dropped and reported. @default 10,000 */
  maxQueued?: number | undefined;
  /** Records in one request, at most 1,000. @default 500 */
  batchSize?: number | undefined;
  /** How long a record waits for others to share its request, in milliseconds. @default 200 */
  lingerMs?: number | undefined;
  /** Tries for one request. @default 8 */
  maxTries?: number | undefined;
  /** Timeout of one request, in milliseconds. @default 30,000 */
  timeoutMs?: number | undefined;
  /** Asks the endpoint to queue the records and answer at once. @default true */
  respondAsync?: boolean | undefined;
  /** Called for every record that was not delivered. @default a process warning */
  onError?: ((error: CampaignMetricsError) => void) | undefined;
  fetch?: typeof globalThis.fetch | undefined;
}

/** Why records were not delivered. */
export class CampaignMetricsError extends Error {
  override readonly name = 'CampaignMetricsError';
  readonly records: readonly CampaignMetricsInput[];
  /** HTTP status; undefined without an answer. */
  readonly status: number | undefined;
  constructor(
    message: string,
    records: readonly CampaignMetricsInput[],
    details: { status?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.records = records;
    this.status = details.status;
  }
}

interface Waiting {
  record: CampaignMetricsInput;
  /** The JSON of the record when it was passed in. The application can change the object afterwards. */
  text: string;
  settle: (error: CampaignMetricsError | undefined) => void;
}

const retriable = new Set([408, 425, 429, 500, 502, 503, 504]);

/** What the client uses of Node.js, where it exists. */
const node = (globalThis as { process?: Partial<NodeJS.Process> }).process;

/** Clients with records that are not delivered yet. */
const busy = new Set<CampaignMetricsClient>();
/** The longest time that SIGTERM waits for the records. Platforms kill the process some 10 to 30 seconds after it. */
const maxTerminationMs = 8_000;
let listens = false;

/** Delivers waiting records when the process ends. One listener per event, however many clients exist. */
function listenToExit(): void {
  if (listens || typeof node?.on !== 'function') return;
  listens = true;
  const flushAll = () => Promise.all([...busy].map((client) => client.flush()));
  // Emitted when nothing is left to do. A request keeps the process alive until it is answered.
  node.on('beforeExit', () => void flushAll());
  const terminate = async () => {
    // Counted at once: Node.js removes a listener of `once` before it calls it.
    const isAlone = node.listenerCount?.('SIGTERM') === 1;
    if (busy.size > 0) {
      const limit = new Promise((resolve) => setTimeout(resolve, maxTerminationMs));
      await Promise.race([flushAll(), limit]);
    }
    // A listener replaces the default, which ends the process. Without a listener of the application, do that.
    if (!isAlone || node.listenerCount?.('SIGTERM') !== 1) return;
    node.off?.('SIGTERM', onTerminate);
    node.kill?.(node.pid!, 'SIGTERM');
  };
  const onTerminate = () => void terminate();
  // First, so that it counts the listeners of the application before one of them is removed.
  if (typeof node.prependListener === 'function') node.prependListener('SIGTERM', onTerminate);
  else node.on('SIGTERM', onTerminate);
}

/** Sends records to the endpoint. One client per process is enough. */
export class CampaignMetricsClient {
  readonly #options;
  readonly #queue: Waiting[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> | undefined;
  #closed = false;

  constructor(options: CampaignMetricsClientOptions = {}) {
    this.#options = {
      url: options.url ?? node?.env?.['CAMPAIGN_METRICS_URL'] ?? '',
      key: options.key ?? node?.env?.['CAMPAIGN_METRICS_KEY'],
      maxQueued: options.maxQueued ?? 10_000,
      batchSize: Math.max(1, Math.min(1_000, options.batchSize ?? 500)),
      lingerMs: options.lingerMs ?? 200,
      maxTries: options.maxTries ?? 8,
      timeoutMs: options.timeoutMs ?? 30_000,
      respondAsync: options.respondAsync ?? true,
      onError: options.onError ?? warn,
      fetch: options.fetch ?? globalThis.fetch,
    };
  }

  /** Number of records that wait or are being sent. */
  get queued(): number {
    return this.#queue.length;
  }

  /**
   * Queues a record. The promise never rejects and need not be awaited: it tells whether the endpoint accepted the
   * record. Failures go to `onError`.
   */
  write(record: CampaignMetricsInput): Promise<boolean> {
    return this.writeOrThrow(record).then(
      () => true,
      () => false,
    );
  }

  /**
   * Queues a record and resolves when the endpoint has accepted it.
   * @throws CampaignMetricsError
   */
  async writeOrThrow(record: CampaignMetricsInput): Promise<void> {
    try {
      await this.#enqueue(record);
    } catch (error) {
      try {
        this.#options.onError(error as CampaignMetricsError);
      } catch {
        // A bug in the application's handler must not break its main flow.
      }
      throw error;
    }
  }

  /** Sends all waiting records. Resolves when each is delivered or given up; never rejects. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#queue.length > 0) {
      this.#sending ??= this.#sendBatch().finally(() => {
        this.#sending = undefined;
      });
      await this.#sending;
    }
  }

  /** Flushes and accepts no more records. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  async #enqueue(record: CampaignMetricsInput): Promise<void> {
    const { url, maxQueued, batchSize, lingerMs } = this.#options;
    const failure = (message: string, cause?: unknown) =>
      new CampaignMetricsError(message, [record], { cause });
    if (this.#closed) throw failure('The client is closed.');
    if (url === '') throw failure('No endpoint is set. Pass `url` or set CAMPAIGN_METRICS_URL.');
    if (this.#queue.length >= maxQueued) throw failure(`The queue is full with ${maxQueued} records.`);
    let text: string | undefined;
    /** JSON has no NaN and no Infinity. `JSON.stringify` writes null for them, so the endpoint could not say why. */
    const unfit: string[] = [];
    const check = (name: string, value: unknown) => {
      if (typeof value === 'number' && !Number.isFinite(value)) unfit.push(`${name} is ${value}`);
      return value;
    };
    try {
      text = JSON.stringify(record, check);
    } catch (cause) {
      throw failure('The record cannot be converted to JSON.', cause);
    }
    // A record without a text would make the JSON of the others invalid, too.
    if (text === undefined) throw failure(`The record must be an object, not ${typeof record}.`);
    if (unfit.length > 0) throw failure(`The record has numbers that JSON cannot hold: ${unfit.join(', ')}.`);
    listenToExit();
    busy.add(this);
    const settled = new Promise<void>((resolve, reject) => {
      this.#queue.push({
        record,
        text,
        settle: (error) => (error === undefined ? resolve() : reject(error)),
      });
    });
    if (this.#queue.length >= batchSize) void this.flush();
    else if (this.#timer === undefined) {
      this.#timer = setTimeout(() => void this.flush(), lingerMs);
      // In Node.js a timer is an object that would keep the process alive. Elsewhere it is a number.
      (this.#timer as Partial<NodeJS.Timeout>).unref?.();
    }
    return settled;
  }

  /** Sends one batch. Records leave the queue only when they are settled. */
  async #sendBatch(): Promise<void> {
    const batch = this.#queue.slice(0, this.#options.batchSize);
    const errors = await this.#post(batch);
    this.#queue.splice(0, batch.length);
    if (this.#queue.length === 0) busy.delete(this);
    for (const [index, { settle }] of batch.entries()) settle(errors[index]);
  }

  /** Returns an error for each record that the endpoint did not accept. */
  async #post(batch: readonly Waiting[]): Promise<(CampaignMetricsError | undefined)[]> {
    const problem = addressProblem(this.#options.url);
    if (problem !== undefined) return batch.map(({ record }) => new CampaignMetricsError(problem, [record]));
    for (let tries = 1; ; tries += 1) {
      let message = 'The endpoint cannot be reached.';
      let details: { status?: number; cause?: unknown };
      let retryAfterMs = 0;
      let isRetriable = true;
      try {
        const response = await this.#request(batch);
        const { status } = response;
        const body: unknown = await response.json().catch(() => undefined);
        const items = response.ok ? itemsOf(body, batch.length) : undefined;
        if (items !== undefined) return batch.map(({ record }, index) => itemError(record, items[index]!));
        // The endpoint rejects a batch with one invalid record completely: halve it, to deliver the others.
        if ((status === 400 || status === 413) && batch.length > 1) {
          const middle = batch.length >> 1;
          return [...(await this.#post(batch.slice(0, middle))), ...(await this.#post(batch.slice(middle)))];
        }
        // Browsers hide the status of a redirect.
        const isRedirect = response.type === 'opaqueredirect' || (status >= 300 && status < 400);
        const reason = response.ok
          ? 'it does not tell what became of the records; check that the address is that of the endpoint.'
          : isRedirect
            ? 'it redirects to another address, which is not followed; set the address of the endpoint itself.'
            : textOf(body);
        message = `The endpoint answered ${status}: ${reason}`;
        details = { status };
        isRetriable = response.ok || retriable.has(status);
        retryAfterMs = Number(response.headers.get('retry-after')) * 1000 || 0;
      } catch (cause) {
        details = { cause };
      }
      if (!isRetriable || tries >= this.#options.maxTries) {
        return batch.map(({ record }) => new CampaignMetricsError(message, [record], details));
      }
      const backoffMs = Math.min(30_000, 250 * 2 ** (tries - 1)) * (0.5 + Math.random() / 2);
      await new Promise((resolve) => setTimeout(resolve, Math.max(retryAfterMs, backoffMs)));
    }
  }

  #request(batch: readonly Waiting[]): Promise<Response> {
    const { url, key, respondAsync, timeoutMs, fetch } = this.#options;
    const headers: Record<string, string> = { 'Content-Type': 'application/json' };
    if (key !== undefined) headers['x-functions-key'] = key;
    if (respondAsync) headers['Prefer'] = 'respond-async';
    const body = `[${batch.map(({ text }) => text).join(',')}]`;
    // A followed redirect can turn the POST into a GET, whose answer 200 says nothing about the records.
    const signal = AbortSignal.timeout(timeoutMs);
    return fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal });
  }
}

/** Why nothing is sent to the address; undefined if it is right. */
function addressProblem(address: string): string | undefined {
  // In a browser, an address may be relative to that of the page.
  const base = (globalThis as { location?: { href?: string } }).location?.href;
  let url: URL;
  try {
    url = new URL(address, base);
  } catch {
    return 'The address of the endpoint is not a URL: correct CAMPAIGN_METRICS_URL.';
  }
  const isLoopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)) return undefined;
  return `The address of the endpoint begins with ${url.protocol}, which shows the key to the network: use https:.`;
}

interface Item {
  status: number;
  problem?: unknown;
}

/** The entries of a successful answer; undefined unless there is one for each record. */
function itemsOf(body: unknown, count: number): Item[] | undefined {
  if (!Array.isArray(body) || body.length !== count) return undefined;
  return body.every((item) => typeof Object(item).status === 'number') ? (body as Item[]) : undefined;
}

/** The error of one record in an accepted batch. */
function itemError(
  record: CampaignMetricsInput,
  { status, problem }: Item,
): CampaignMetricsError | undefined {
  if (status >= 200 && status < 300) return undefined;
  const message = `The endpoint answered ${status} for this record: ${textOf(problem)}`;
  return new CampaignMetricsError(message, [record], { status });
}

/** Validation errors that a message quotes. */
const maxQuoted = 3;

/** What a problem document (RFC 9457) tells people: what happened, where, and what to do. */
function textOf(problem: unknown): string {
  const { detail, hint, errors } = Object(problem) as Record<string, unknown>;
  const list = (Array.isArray(errors) ? errors : []).map((error) => Object(error) as Record<string, unknown>);
  const quoted = list.slice(0, maxQuoted).map(({ path, detail: fault }) => `${path || '/'} ${fault}`);
  if (list.length > maxQuoted) quoted.push(`${list.length - maxQuoted} more`);
  const faults = quoted.length === 0 ? undefined : `${quoted.join('; ')}.`;
  return [detail, faults, hint].filter((text) => typeof text === 'string').join(' ') || 'it gave no reason.';
}

/** Tells about records that were not delivered if the application does not want to know. */
function warn(error: CampaignMetricsError): void {
  if (typeof node?.emitWarning === 'function') node.emitWarning(error);
  else console.warn(error);
}

let shared: CampaignMetricsClient | undefined;

/**
 * Sends one record through the process's shared client, which CAMPAIGN_METRICS_URL and CAMPAIGN_METRICS_KEY configure.
 * Never throws and never rejects, except with `{ throws: true }`.
 */
export function writeCampaignMetrics(
  record: CampaignMetricsInput,
  options: { throws?: boolean; client?: CampaignMetricsClient } = {},
): Promise<boolean> {
  if (options.client === undefined) shared ??= new CampaignMetricsClient();
  const client = options.client ?? shared!;
  return options.throws === true ? client.writeOrThrow(record).then(() => true) : client.write(record);
}
