import { telemetryCredential, telemetryIdentity } from './authentication.ts';
import type { Ingestion, IngestionFault } from './ingestion.ts';
import { invocationSink } from './invocation-log.ts';
import type { EndedSpan, MonitorClient, MonitorEvent } from './monitor-client.ts';
import { Outbox } from './outbox.ts';
import { currentScope, inScope } from './scope.ts';
import { logLine, type Properties } from './telemetry.ts';

/** Loads what sends to Application Insights. */
export type LoadIngestion = (connectionString: string) => Promise<Ingestion>;

/** How long the first item waits for others. */
const collectMs = 2_000;
/** The pause after a failure, doubled with each one up to the longest: a role may take minutes to be effective. */
const firstPauseMs = 30_000;
const longestPauseMs = 15 * 60_000;

/**
 * Collects events, metrics and spans, and sends them a little later. It loads what sends them with the first batch, so
 * that neither the start of the app nor its first answer waits for it. If Application Insights does not accept a batch,
 * that is logged once, the batch is sent again after a pause, and the pauses grow; nothing else is affected.
 */
class LazyMonitor implements MonitorClient {
  readonly #load: () => Promise<Ingestion | undefined>;
  readonly #outbox = new Outbox();
  #ingestion: Promise<Ingestion | undefined> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #failures = 0;
  /** By the clock that nobody sets: `performance.now()`. */
  #pausedUntil = 0;

  constructor(load: () => Promise<Ingestion | undefined>) {
    this.#load = load;
  }

  trackEvent(event: MonitorEvent): void {
    this.#outbox.addEvent({ at: Date.now(), span: currentScope().span, ...event });
    this.#schedule();
  }

  trackMetric(name: string, value: number, dimensions: Record<string, string>): void {
    this.#outbox.addMetric({ name, dimensions, count: 1, sum: value, min: value, max: value });
    this.#schedule();
  }

  trackSpan(span: EndedSpan): void {
    this.#outbox.addSpan(span);
    this.#schedule();
  }

  async flush(): Promise<void> {
    // What was added while a batch was on its way is sent as well.
    while (this.#sending !== undefined) await this.#sending;
    if (this.#outbox.isEmpty) return;
    // A timer can fire a moment before the pause is over.
    if (performance.now() < this.#pausedUntil) return this.#schedule();
    this.#sending = this.#send().finally(() => {
      this.#sending = undefined;
      if (!this.#outbox.isEmpty) this.#schedule();
    });
    await this.#sending;
  }

  #schedule(): void {
    if (this.#timer !== undefined) return;
    const wait = Math.max(collectMs, this.#pausedUntil - performance.now());
    // Outside of the invocation that happens to be the first: its log is closed by then.
    this.#timer = inScope({ invocation: undefined, span: undefined, runId: undefined }, () =>
      setTimeout(() => {
        this.#timer = undefined;
        void this.flush();
      }, wait),
    );
    this.#timer.unref();
  }

  async #send(): Promise<void> {
    this.#ingestion ??= this.#load();
    const ingestion = await this.#ingestion;
    const batch = this.#outbox.take();
    // It cannot be loaded, now or later.
    if (ingestion === undefined) return;
    const { rest, fault } = await ingestion.send(batch);
    this.#outbox.putBack(rest);
    if (fault === undefined) this.#succeeded();
    else this.#failed(fault);
  }

  #failed(fault: IngestionFault): void {
    this.#failures += 1;
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (this.#failures - 1));
    this.#pausedUntil = performance.now() + pauseMs;
    if (this.#failures > 1) return;
    const { status, code } = fault;
    write('warn', 'Application Insights does not accept telemetry. The sync goes on without.', {
      status,
      code,
      retryInSeconds: pauseMs / 1000,
      hint: hintFor(fault),
    });
  }

  #succeeded(): void {
    const { dropped } = this.#outbox;
    const failures = this.#failures;
    this.#outbox.dropped = 0;
    this.#failures = 0;
    this.#pausedUntil = 0;
    if (failures > 0) {
      write('info', 'Application Insights accepts telemetry again.', { failures, dropped });
    } else if (dropped > 0) {
      write('warn', 'More telemetry waited than the app keeps. The oldest items were dropped.', { dropped });
    }
  }
}

function hintFor({ status, code }: IngestionFault): string {
  if (code === 'no token') {
    return 'Check APPLICATIONINSIGHTS_AUTHENTICATION_STRING and that the app has this managed identity.';
  }
  if (status === 401 || status === 403) {
    return 'Give the identity in APPLICATIONINSIGHTS_AUTHENTICATION_STRING the role Monitoring Metrics Publisher on the Application Insights resource. A new role takes some minutes.';
  }
  if (status === 402 || status === 429 || status === 439) {
    return 'The daily cap or the rate limit of the Application Insights resource is reached.';
  }
  if (status !== undefined && status < 500) {
    return 'Check that APPLICATIONINSIGHTS_CONNECTION_STRING is that of an existing resource.';
  }
  return 'Check that the app can reach the IngestionEndpoint in APPLICATIONINSIGHTS_CONNECTION_STRING.';
}

function write(level: 'error' | 'warn' | 'info', message: string, properties: Properties): void {
  invocationSink()(level, logLine(message, properties));
}

/**
 * The client of Application Insights; undefined if `APPLICATIONINSIGHTS_CONNECTION_STRING` is not set. It loads nothing
 * before it sends. If the library cannot be loaded, that is logged once, and telemetry is dropped.
 */
export function createMonitor(
  env: Record<string, string | undefined> = process.env,
  load: LoadIngestion = (connectionString) => loadIngestion(connectionString, env),
): MonitorClient | undefined {
  const connectionString = env['APPLICATIONINSIGHTS_CONNECTION_STRING']?.trim() ?? '';
  if (connectionString === '') return undefined;
  return new LazyMonitor(async () => {
    try {
      return await load(connectionString);
    } catch (error) {
      // The message can quote the connection string.
      write('error', 'Application Insights cannot be started. Telemetry is not sent.', {
        kind: (error as Error)?.name,
        hint: 'Check APPLICATIONINSIGHTS_CONNECTION_STRING. Restart the app after a change.',
      });
      return undefined;
    }
  });
}

let client: { monitor: MonitorClient | undefined } | undefined;

/** The client of this process. */
export function monitor(): MonitorClient | undefined {
  client ??= { monitor: createMonitor() };
  return client.monitor;
}

async function loadIngestion(
  connectionString: string,
  env: Record<string, string | undefined>,
): Promise<Ingestion> {
  const { openIngestion } = await import('./ingestion.ts');
  const identity = telemetryIdentity(env['APPLICATIONINSIGHTS_AUTHENTICATION_STRING']);
  return openIngestion(connectionString, identity && telemetryCredential(identity), env);
}
