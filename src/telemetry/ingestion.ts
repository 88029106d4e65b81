/**
 * Sends batches with `applicationinsights`. Only this file names the library, and it is loaded with the first batch.
 *
 * The library is a set of OpenTelemetry: what is sent is made with the API of OpenTelemetry, and `useAzureMonitor` makes
 * and registers what that API leads to. Here it is started for this file alone (see `startedApart`), collects nothing by
 * itself, and sends when it is told to.
 */
import type { TokenCredential } from '@azure/core-auth';
import { type Context, type Meter, metrics, ROOT_CONTEXT, type Tracer, trace } from '@opentelemetry/api';
import { type Logger, logs } from '@opentelemetry/api-logs';
import applicationInsights from 'applicationinsights';
import type { EndedSpan, MetricPoint, MonitorEvent } from './monitor-client.ts';
import type { Batch } from './outbox.ts';
import { sampledShare } from './sampling.ts';
import type { SpanContext } from './scope.ts';
import { keepingSdkHooks } from './sdk-instrumenter.ts';
import {
  type IngestionFault,
  type RequestOutcome,
  watchedClient,
  watchedCredential,
} from './watched-requests.ts';

export type { IngestionFault } from './watched-requests.ts';

export interface Ingestion {
  /** Sends a batch. Returns what was not accepted, and why; never throws. */
  send(batch: Batch): Promise<{ rest: Batch; fault?: IngestionFault }>;
}

/**
 * Items in one request: less than the 512 that the library takes at once, so that a request is accepted or refused as a
 * whole. Half a megabyte is quick to repeat.
 */
const atOnce = 500;

/**
 * Starts the library for one Application Insights resource. Sends no request yet.
 * @param credential signs the requests; without one, the instrumentation key alone is sent
 * @throws Error if the connection string is not valid
 */
export function openIngestion(
  connectionString: string,
  credential: TokenCredential | undefined,
  env: Record<string, string | undefined> = process.env,
): Ingestion {
  let outcome: RequestOutcome | undefined;
  const note = (found: RequestOutcome) => {
    outcome = found;
  };
  const azureMonitorExporterOptions = {
    connectionString,
    credential: credential && watchedCredential(credential, note),
    httpClient: watchedClient(note),
    // The outbox keeps what is not accepted. On disk it could outlive the settings that allow it to be sent.
    disableOfflineStorage: true,
    retryOptions: { maxRetries: 0 },
  };
  const { tracer, logger, meter, flushing } = startedApart(env, () => start(azureMonitorExporterOptions));
  const share = sampledShare(env);

  /** Sends some items in one request. Returns why they were not accepted. */
  const fault = async (kind: keyof Batch, emit: () => void): Promise<IngestionFault | undefined> => {
    outcome = undefined;
    try {
      emit();
      await flushing[kind]();
    } catch {
      // Noted as what became of the request.
    }
    if (outcome === 'accepted') return undefined;
    return outcome ?? { code: 'nothing sent', isRetriable: false };
  };
  return {
    async send(batch) {
      const rest: Batch = { events: [], metrics: [], spans: [] };
      let first: IngestionFault | undefined;
      const sendAll = async <Item>(
        kind: keyof Batch,
        kept: Item[],
        items: Item[],
        emit: (one: Item) => void,
      ) => {
        for (let from = 0; from < items.length; from += atOnce) {
          const some = items.slice(from, from + atOnce);
          const found = first?.isRetriable ? first : await fault(kind, () => some.forEach(emit));
          first ??= found;
          if (found?.isRetriable) kept.push(...some);
        }
      };
      await sendAll('events', rest.events, batch.events, (one) => emitEvent(logger, one));
      await sendAll('metrics', rest.metrics, batch.metrics, (one) => recordPoint(meter, one));
      await sendAll('spans', rest.spans, batch.spans, (one) => emitSpan(tracer, one, share));
      return { rest, fault: first };
    },
  };
}

type Options = NonNullable<Parameters<typeof applicationInsights.useAzureMonitor>[0]>;
type ExporterOptions = Options['azureMonitorExporterOptions'];
type Flushing = Record<keyof Batch, () => Promise<void>>;

const scopeName = 'dataverse-sqlite-sync';
const off = { enabled: false };

/**
 * Lets nothing through but the spans of this file: the library would trace its own requests, each of which would lead to
 * the next one. It sends no span without the flag.
 */
const onlyOurs: NonNullable<Options['spanProcessors']>[number] = {
  onStart(span) {
    if (span.instrumentationScope.name !== scopeName) span.spanContext().traceFlags = 0;
  },
  onEnd: () => undefined,
  forceFlush: async () => undefined,
  shutdown: async () => undefined,
};

/** Starts the library with everything off that it would collect by itself. */
function start(azureMonitorExporterOptions: ExporterOptions) {
  applicationInsights.useAzureMonitor({
    azureMonitorExporterOptions,
    // What arrives here is sampled already. The default is five traces a second.
    samplingRatio: 1,
    tracesPerSecond: 0,
    spanProcessors: [onlyOurs],
    enableLiveMetrics: false,
    enableStandardMetrics: false,
    enablePerformanceCounters: false,
    enableAutoCollectExceptions: false,
    enableAutoCollectPerformance: false,
    instrumentationOptions: {
      http: off,
      azureSdk: off,
      mongoDb: off,
      mySql: off,
      postgreSql: off,
      redis: off,
      redis4: off,
      bunyan: off,
      winston: off,
      console: off,
    },
  });
  // `flushAzureMonitor` flushes what is registered for the process, which these are no longer when the batch is sent.
  const flush = (provider: unknown) => () => (provider as { forceFlush(): Promise<void> }).forceFlush();
  const spans = trace.getTracerProvider() as unknown as { getDelegate(): unknown };
  const flushing: Flushing = {
    events: flush(logs.getLoggerProvider()),
    metrics: flush(metrics.getMeterProvider()),
    spans: flush(spans.getDelegate()),
  };
  return {
    tracer: trace.getTracer(scopeName),
    logger: logs.getLogger(scopeName),
    meter: metrics.getMeter(scopeName),
    flushing,
  };
}

/** Where OpenTelemetry keeps what is registered for the process. */
const registries = [Symbol.for('opentelemetry.js.api.1'), Symbol.for('io.opentelemetry.js.api.logs')];

/**
 * Runs `begin`, which starts the library, so that the rest of the process is as it was afterwards.
 *
 * The library replaces what is registered with OpenTelemetry, the instrumenter and the log of the Azure SDK; the app has
 * its own, and an agent of the platform may have, too. It also puts about forty variables of the environment before its
 * options; a few of them are set for the host, in values that it does not know. Both is over when it has started.
 */
function startedApart<Result>(env: Record<string, string | undefined>, begin: () => Result): Result {
  const registered = globalThis as unknown as Record<symbol, unknown>;
  const before = registries.map((key) => registered[key]);
  for (const key of registries) delete registered[key];
  const all = process.env;
  process.env = { ...environment(all), ...identityOf(env) };
  try {
    return keepingSdkHooks(begin);
  } finally {
    process.env = all;
    registries.forEach((key, index) => {
      if (before[index] === undefined) delete registered[key];
      else registered[key] = before[index];
    });
  }
}

function environment(all: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const foreign = /^(?:OTEL_|APPLICATIONINSIGHTS_|APPLICATION_INSIGHTS_|AZURE_MONITOR_)/;
  return {
    ...Object.fromEntries(Object.entries(all).filter(([name]) => !foreign.test(name))),
    // It reports on itself to Microsoft, and adds a metric that describes the process to each request.
    APPLICATION_INSIGHTS_NO_STATSBEAT: 'true',
    APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED: 'true',
    // No file, no messages of its own: the monitor says what failed, once.
    APPLICATIONINSIGHTS_CONFIGURATION_CONTENT: ' ',
    APPLICATIONINSIGHTS_INSTRUMENTATION_LOGGING_LEVEL: 'NONE',
    AZURE_LOG_LEVEL: 'error',
    // Metrics are sent with each batch, not every minute.
    OTEL_METRIC_EXPORT_INTERVAL: String(24 * 3600_000),
    OTEL_NODE_RESOURCE_DETECTORS: 'env',
  };
}

/** The host names the app by the same names. As a function app it is not asked whether it is a virtual machine. */
function identityOf(env: Record<string, string | undefined>): NodeJS.ProcessEnv {
  const instance = env['WEBSITE_INSTANCE_ID'];
  return {
    WEBSITE_SITE_NAME: env['WEBSITE_SITE_NAME'] || scopeName,
    WEBSITE_SKU: 'FlexConsumption',
    ...(instance && { OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${encodeURIComponent(instance)}` }),
  };
}

/** SpanKind and SpanStatusCode of OpenTelemetry. */
const kinds = { internal: 0, server: 1, client: 2 } as const;
const statusOfError = 2;

function emitSpan(tracer: Tracer, span: EndedSpan, share: number): void {
  const { name, kind, context, parentId, attributes, startedAt, endedAt, links, isError } = span;
  const parent = parentId === undefined ? undefined : { traceId: context.traceId, spanId: parentId };
  const options = {
    kind: kinds[kind],
    startTime: startedAt,
    // The rate in percent, from which Application Insights estimates the count of all.
    attributes: { ...defined(attributes), ...(share < 1 && { 'microsoft.sample_rate': share * 100 }) },
    links: links.map((link) => ({ context: sampled(link) })),
  };
  const open = tracer.startSpan(name, options, within(parent));
  // The ids are known already: children name them, and another process may have started the span. The API takes no ids,
  // and the library no generator of them.
  Object.assign(open.spanContext(), sampled(context));
  if (isError) open.setStatus({ code: statusOfError });
  open.end(Math.max(startedAt, endedAt));
}

function emitEvent(logger: Logger, { name, properties, measurements, at, span }: MonitorEvent): void {
  logger.emit({
    timestamp: at ?? Date.now(),
    context: within(span),
    body: { measurements: { ...measurements } },
    attributes: { ...properties, 'microsoft.custom_event.name': name },
  });
}

/**
 * Records values with the count, sum, least and greatest value of the point, which is what is sent of a histogram: all but
 * the least and the greatest are their mean. A value is never negative, unless a clock was wrong.
 */
function recordPoint(meter: Meter, { name, dimensions, count, sum, min, max }: MetricPoint): void {
  const histogram = meter.createHistogram(name);
  const mean = Math.min(max, Math.max(min, (sum - min - max) / (count - 2)));
  for (let i = 0; i < count; i += 1) {
    const value = i === 0 ? min : i === 1 ? max : mean;
    histogram.record(Math.max(0, value), dimensions);
  }
}

const sampled = (ids: SpanContext) => ({ ...ids, traceFlags: 1 });

/** The context of a span, or that of none: the current one has nothing to do with what is sent. */
function within(span: SpanContext | undefined): Context {
  return span === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, sampled(span));
}

function defined(attributes: EndedSpan['attributes']) {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}
