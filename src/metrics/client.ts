/**
 * For applications: sends campaign metrics without getting in their way.
 *
 *     import { writeCampaignMetrics } from 'dataverse-sqlite-sync/metrics-client';
 *     writeCampaignMetrics({ campaignId: 'spring', runId: 'run-7', … });
 *
 * Records gather in a bounded queue in memory and leave in lists; what the endpoint cannot take now is sent
 * again, which is safe because the same campaign, run and phase is the same row.
 */
import type { CampaignMetricsInput } from './contract/campaign-metrics-fields.ts';

export type { CampaignMetricsInput } from './contract/campaign-metrics-fields.ts';

export interface CampaignMetricsClientOptions {
  /** `https://<app>.azurewebsites.net/api/metrics/campaign`. @default the variable CAMPAIGN_METRICS_URL */
  url?: string | undefined;
  /** The function key. @default the variable CAMPAIGN_METRICS_KEY */
  key?: string | undefined;
  /** Records that wait at most. When it is full the newest is dropped and reported. @default 10,000 */
  maxQueued?: number | undefined;
  /** Records in one request. @default 500, at most 1,000 */
  batchSize?: number | undefined;
  /** How long a record waits for others to go with it, in milliseconds. @default 200 */
  lingerMs?: number | undefined;
  /** Tries for one request. @default 8 */
  maxTries?: number | undefined;
  /** One request, in milliseconds. @default 30,000 */
  timeoutMs?: number | undefined;
  /** Ask for the quick answer: queued, to be written soon. @default true */
  respondAsync?: boolean | undefined;
  /** Told of every record that was given up, and why. @default a process warning */
  onError?: ((error: CampaignMetricsError) => void) | undefined;
  fetch?: typeof globalThis.fetch | undefined;
}

/** Why records did not arrive. */
export class CampaignMetricsError extends Error {
  override readonly name = 'CampaignMetricsError';
  /** HTTP status; undefined where no answer came. */
  readonly status: number | undefined;
  readonly records: readonly CampaignMetricsInput[];
  constructor(
    message: string,
    records: readonly CampaignMetricsInput[],
    details: { status?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.status = details.status;
    this.records = records;
  }
}

interface Waiting {
  record: CampaignMetricsInput;
  /** As it was when it was handed over: what the application changes afterwards is another record. */
  text: string;
  settle: (error?: CampaignMetricsError) => void;
}

const retriable = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Sends records to the endpoint. One per process is enough. */
export class CampaignMetricsClient {
  readonly #options;
  readonly #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #closing = false;

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

  /** Records that wait or are under way. */
  get queued(): number {
    return this.#waiting.length;
  }

  /**
   * Queues a record. The promise never rejects and need not be awaited: it tells whether the endpoint has
   * taken the record. Failures go to `onError`.
   */
  write(record: CampaignMetricsInput): Promise<boolean> {
    return this.#enqueue(record).then(
      () => true,
      () => false,
    );
  }

  /**
   * Like `write`, for callers that want to know why.
   * @throws CampaignMetricsError
   */
  writeOrThrow(record: CampaignMetricsInput): Promise<void> {
    return this.#enqueue(record);
  }

  /** Sends what waits, and ends when it is sent or given up. Never rejects. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#waiting.length > 0) {
      this.#sending ??= this.#send().finally(() => {
        this.#sending = undefined;
      });
      await this.#sending;
    }
  }

  /** Flushes, and takes no more records. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.flush();
    process.off('beforeExit', this.#flushOnExit);
  }

  // The process ends after this once nothing is left to do: sending keeps it alive for that long.
  readonly #flushOnExit = () => {
    if (this.#waiting.length > 0) void this.flush();
  };

  #enqueue(record: CampaignMetricsInput): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: CampaignMetricsError) => {
        if (error === undefined) return resolve();
        this.#report(error);
        reject(error);
      };
      if (this.#closing) return settle(new CampaignMetricsError('The client is closed.', [record]));
      if (this.#waiting.length >= this.#options.maxQueued) {
        const message = `More than ${this.#options.maxQueued} records wait; this one is dropped.`;
        return settle(new CampaignMetricsError(message, [record]));
      }
      if (this.#options.url === '') {
        const message = 'No address is set: pass `url`, or set CAMPAIGN_METRICS_URL.';
        return settle(new CampaignMetricsError(message, [record]));
      }
      try {
        this.#waiting.push({ record, text: JSON.stringify(record), settle });
      } catch (cause) {
        return settle(new CampaignMetricsError('The record cannot be written as JSON.', [record], { cause }));
      }
      if (this.#waiting.length >= this.#options.batchSize) void this.flush();
      else this.#timer ??= setTimeout(() => void this.flush(), this.#options.lingerMs).unref();
    });
  }

  /** Sends one list. Records leave the queue only when they are settled. */
  async #send(): Promise<void> {
    const batch = this.#waiting.slice(0, this.#options.batchSize);
    const errors = await this.#post(batch);
    this.#waiting.splice(0, batch.length);
    for (const [index, { settle }] of batch.entries()) settle(errors[index]);
  }

  /** An error for each record that was not taken. */
  async #post(batch: readonly Waiting[]): Promise<(CampaignMetricsError | undefined)[]> {
    const records = batch.map(({ record }) => record);
    const all = (error: CampaignMetricsError) =>
      records.map((r) => new CampaignMetricsError(error.message, [r], error));
    for (let tries = 1; ; tries += 1) {
      let failure: CampaignMetricsError;
      let retryAfterMs = 0;
      try {
        const response = await this.#request(batch);
        const body: unknown = await response.json().catch(() => undefined);
        if (response.ok) return itemErrors(records, body);
        const said = textOf(body as Problem | undefined);
        const message = `The endpoint answered ${response.status}${said === '' ? '' : `: ${said}`}`;
        failure = new CampaignMetricsError(message, records, { status: response.status });
        // One faulty record has the whole list refused: it is halved, so that its neighbours arrive.
        if ((response.status === 400 || response.status === 413) && batch.length > 1) {
          const middle = batch.length >> 1;
          return [...(await this.#post(batch.slice(0, middle))), ...(await this.#post(batch.slice(middle)))];
        }
        if (!retriable.has(response.status)) return all(failure);
        retryAfterMs = Number(response.headers.get('retry-after') ?? 0) * 1000 || 0;
      } catch (cause) {
        failure = new CampaignMetricsError('The endpoint cannot be reached.', records, { cause });
      }
      if (tries >= this.#options.maxTries) return all(failure);
      const backoff = Math.min(30_000, 250 * 2 ** (tries - 1)) * (0.5 + Math.random() / 2);
      await new Promise((resolve) => setTimeout(resolve, Math.max(retryAfterMs, backoff)));
    }
  }

  #request(batch: readonly Waiting[]): Promise<Response> {
    const { url, key, respondAsync, timeoutMs } = this.#options;
    const headers: Record<string, string> = { 'Content-Type': 'application/json' };
    if (key !== undefined) headers['x-functions-key'] = key;
    if (respondAsync) headers['Prefer'] = 'respond-async';
    const body = `[${batch.map(({ text }) => text).join(',')}]`;
    return this.#options.fetch(url, {
      method: 'POST',
      headers,
      body,
      signal: AbortSignal.timeout(timeoutMs),
    });
  }

  #report(error: CampaignMetricsError): void {
    try {
      this.#options.onError(error);
    } catch {
      // An application's own mistake in its handler must not reach its main flow from here.
    }
  }
}

function itemErrors(records: CampaignMetricsInput[], body: unknown): (CampaignMetricsError | undefined)[] {
  const items = Array.isArray(body) ? (body as { status?: number; problem?: Problem }[]) : [];
  return records.map((record, index) => {
    const { status = 200, problem } = items[index] ?? {};
    if (status < 400) return undefined;
    return new CampaignMetricsError(textOf(problem) || `The record was refused: ${status}`, [record], {
      status,
    });
  });
}

/** The part of a problem document (RFC 9457) that tells people what happened and what to do. */
interface Problem {
  detail?: unknown;
  hint?: unknown;
}

function textOf(problem: Problem | undefined): string {
  return [problem?.detail, problem?.hint].filter((text) => typeof text === 'string').join(' ');
}

let shared: CampaignMetricsClient | undefined;

function sharedClient(): CampaignMetricsClient {
  shared ??= new CampaignMetricsClient();
  return shared;
}

/**
 * Sends one record through the process's shared client, configured by CAMPAIGN_METRICS_URL and
 * CAMPAIGN_METRICS_KEY. Never throws and never rejects unless asked: `{ throws: true }`.
 */
export function writeCampaignMetrics(
  record: CampaignMetricsInput,
  options: { throws?: boolean; client?: CampaignMetricsClient } = {},
): Promise<boolean> {
  const client = options.client ?? sharedClient();
  return options.throws === true ? client.writeOrThrow(record).then(() => true) : client.write(record);
}
