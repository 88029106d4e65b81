/**
 * For applications: sends campaign metrics without blocking or breaking them.
 *
 * Records wait in a bounded queue in memory and are sent in batches. A batch that the endpoint does not accept now is
 * sent again, which is safe because the same campaign, run and phase is the same row.
 *
 * @example
 * import { writeCampaignMetrics } from 'dataverse-sqlite-sync/metrics-client';
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

/** Sends records to the endpoint. One client per process is enough. */
export class CampaignMetricsClient {
  readonly #options;
  readonly #queue: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #closed = false;

  constructor(options: CampaignMetricsClientOptions = {}) {
    const { env } = process;
    this.#options = {
      url: options.url ?? env['CAMPAIGN_METRICS_URL'] ?? '',
      key: options.key ?? env['CAMPAIGN_METRICS_KEY'],
      maxQueued: options.maxQueued ?? 10_000,
      batchSize: Math.max(1, Math.min(1_000, options.batchSize ?? 500)),
      lingerMs: options.lingerMs ?? 200,
      maxTries: options.maxTries ?? 8,
      timeoutMs: options.timeoutMs ?? 30_000,
      respondAsync: options.respondAsync ?? true,
      onError: options.onError ?? ((error: CampaignMetricsError) => process.emitWarning(error)),
      fetch: options.fetch ?? globalThis.fetch,
    };
    process.on('beforeExit', this.#flushOnExit);
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
    process.off('beforeExit', this.#flushOnExit);
  }

  // Node.js emits `beforeExit` when nothing is left to do; a request keeps the process alive until it is answered.
  readonly #flushOnExit = () => void this.flush();

  async #enqueue(record: CampaignMetricsInput): Promise<void> {
    const { url, maxQueued, batchSize, lingerMs } = this.#options;
    const failure = (message: string, cause?: unknown) =>
      new CampaignMetricsError(message, [record], { cause });
    if (this.#closed) throw failure('The client is closed.');
    if (url === '') throw failure('No endpoint is set. Pass `url` or set CAMPAIGN_METRICS_URL.');
    if (this.#queue.length >= maxQueued) throw failure(`The queue is full with ${maxQueued} records.`);
    let text: string;
    try {
      text = JSON.stringify(record);
    } catch (cause) {
      throw failure('The record cannot be converted to JSON.', cause);
    }
    const settled = new Promise<void>((resolve, reject) => {
      this.#queue.push({
        record,
        text,
        settle: (error) => (error === undefined ? resolve() : reject(error)),
      });
    });
    if (this.#queue.length >= batchSize) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), lingerMs).unref();
    return settled;
  }

  /** Sends one batch. Records leave the queue only when they are settled. */
  async #sendBatch(): Promise<void> {
    const batch = this.#queue.slice(0, this.#options.batchSize);
    const errors = await this.#post(batch);
    this.#queue.splice(0, batch.length);
    for (const [index, { settle }] of batch.entries()) settle(errors[index]);
  }

  /** Returns an error for each record that the endpoint did not accept. */
  async #post(batch: readonly Waiting[]): Promise<(CampaignMetricsError | undefined)[]> {
    for (let tries = 1; ; tries += 1) {
      let message = 'The endpoint cannot be reached.';
      let details: { status?: number; cause?: unknown };
      let retryAfterMs = 0;
      try {
        const response = await this.#request(batch);
        const { status } = response;
        const body: unknown = await response.json().catch(() => undefined);
        if (response.ok) return batch.map(({ record }, index) => itemError(record, body, index));
        // The endpoint rejects a batch with one invalid record completely: halve it, to deliver the others.
        if ((status === 400 || status === 413) && batch.length > 1) {
          const middle = batch.length >> 1;
          return [...(await this.#post(batch.slice(0, middle))), ...(await this.#post(batch.slice(middle)))];
        }
        message = `The endpoint answered ${status}: ${textOf(body)}`;
        details = { status };
        retryAfterMs = Number(response.headers.get('retry-after')) * 1000 || 0;
      } catch (cause) {
        details = { cause };
      }
      const isRetriable = details.status === undefined || retriable.has(details.status);
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
    return fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(timeoutMs) });
  }
}

/** The error of one record in an accepted batch. */
function itemError(
  record: CampaignMetricsInput,
  body: unknown,
  index: number,
): CampaignMetricsError | undefined {
  const items = Array.isArray(body) ? (body as { status?: number; problem?: unknown }[]) : [];
  const { status = 200, problem } = items[index] ?? {};
  return status < 400 ? undefined : new CampaignMetricsError(textOf(problem), [record], { status });
}

/** What a problem document (RFC 9457) tells people: what happened and what to do. */
function textOf(problem: unknown): string {
  const { detail, hint } = Object(problem) as { detail?: unknown; hint?: unknown };
  return [detail, hint].filter((text) => typeof text === 'string').join(' ') || 'it gave no reason.';
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
