/**
 * Sends batches to Application Insights, with the exporters of OpenTelemetry. Only this file names their library, and
 * it is loaded with the first batch.
 */
import type { TokenCredential } from '@azure/core-auth';
import { createDefaultHttpClient, type HttpClient } from '@azure/core-rest-pipeline';
import {
  AzureMonitorLogExporter,
  AzureMonitorMetricExporter,
  AzureMonitorTraceExporter,
} from '@azure/monitor-opentelemetry-exporter';
import { rememberToken } from '../safe-text.ts';
import type { EndedSpan, MetricPoint, MonitorEvent } from './monitor-client.ts';
import type { Batch } from './outbox.ts';
import { sampledShare } from './sampling.ts';

/** Why a part of a batch was not accepted. */
export interface IngestionFault {
  /** The status of the response; absent if there was none. */
  status?: number;
  /** A code of the connection (`ECONNREFUSED`), or what failed before a request was sent (`no token`). */
  code?: string;
  /** Whether the same batch may be accepted later. */
  isRetriable: boolean;
}

export interface Ingestion {
  /** Sends a batch. Returns what was not accepted, and why; never throws. */
  send(batch: Batch): Promise<{ rest: Batch; fault?: IngestionFault }>;
}

type Spans = Parameters<AzureMonitorTraceExporter['export']>[0];
type Logs = Parameters<AzureMonitorLogExporter['export']>[0];
type Metrics = Parameters<AzureMonitorMetricExporter['export']>[0];

const timeoutMs = 10_000;
/** Spans in one request: a request may have 64 MB (learn.microsoft.com), and half a megabyte is quick to repeat. */
const spansAtOnce = 500;
/** Statuses with which the same request is refused for ever: it is not valid, too large, or for no resource. */
const finalStatuses = new Set([400, 404, 405, 413]);
const done = () => undefined;

/**
 * The exporters of one Application Insights resource. Sends no request yet.
 * @param credential signs the requests; without one, the instrumentation key alone is sent
 * @throws Error if the connection string is not valid
 */
export function openIngestion(
  connectionString: string,
  credential: TokenCredential | undefined,
  env: Record<string, string | undefined> = process.env,
): Ingestion {
  // The exporters report on themselves to Microsoft, and add a metric that describes the process to each request.
  process.env['APPLICATION_INSIGHTS_NO_STATSBEAT'] ??= 'true';
  process.env['APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED'] ??= 'true';
  let fault: IngestionFault | undefined;
  const note = (found: IngestionFault) => {
    fault ??= found;
  };
  const options = {
    connectionString,
    credential: credential && watchedCredential(credential, note),
    httpClient: watchedClient(note),
    // The outbox keeps what is not accepted. On disk it could outlive the settings that allow it to be sent.
    disableOfflineStorage: true,
    retryOptions: { maxRetries: 0 },
  };
  const traces = new AzureMonitorTraceExporter(options);
  const logs = new AzureMonitorLogExporter(options);
  const meters = new AzureMonitorMetricExporter(options);
  const resource = { attributes: resourceAttributes(env) };
  const share = sampledShare(env);
  /** Whether the items are done with: accepted, or refused for ever. */
  const exported = async (work: () => Promise<unknown>): Promise<boolean> => {
    if (fault?.isRetriable) return false;
    try {
      await work();
    } catch (error) {
      note({ code: (error as Error)?.name, isRetriable: false });
    }
    return fault?.isRetriable !== true;
  };
  return {
    async send({ events, metrics, spans }) {
      fault = undefined;
      const rest: Batch = { events: [], metrics: [], spans: [] };
      const sendEvents = () => logs.export(events.map((one) => logRecordOf(one, resource)) as Logs, done);
      if (events.length > 0 && !(await exported(sendEvents))) rest.events = events;
      const sendMetrics = () => meters.export(resourceMetricsOf(metrics, resource), done);
      if (metrics.length > 0 && !(await exported(sendMetrics))) rest.metrics = metrics;
      for (let from = 0; from < spans.length; from += spansAtOnce) {
        const some = spans.slice(from, from + spansAtOnce);
        const sendSpans = () =>
          traces.export(some.map((span) => spanOf(span, resource, share)) as unknown as Spans, done);
        if (!(await exported(sendSpans))) rest.spans.push(...some);
      }
      return { rest, fault };
    },
  };
}

/** The library keeps errors to itself: this notes them. */
function watchedClient(note: (fault: IngestionFault) => void): HttpClient {
  const client = createDefaultHttpClient();
  return {
    async sendRequest(request) {
      request.timeout = timeoutMs;
      try {
        const response = await client.sendRequest(request);
        const { status } = response;
        // 206: some items of the request are not valid, or come too fast.
        const isRetriable = !finalStatuses.has(status) && status !== 206;
        if (status !== 200 && status !== 307 && status !== 308) note({ status, isRetriable });
        return response;
      } catch (error) {
        const { code, name } = error as { code?: string; name?: string };
        note({ code: code ?? name ?? 'Error', isRetriable: true });
        throw error;
      }
    },
  };
}

function watchedCredential(
  credential: TokenCredential,
  note: (fault: IngestionFault) => void,
): TokenCredential {
  return {
    async getToken(scopes, details) {
      try {
        const token = await credential.getToken(scopes, details);
        rememberToken(token?.token);
        if (token === null) throw new Error('the credential returned no token');
        return token;
      } catch (error) {
        note({ code: 'no token', isRetriable: true });
        throw error;
      }
    },
  };
}

/** The host names the app by the same names. */
function resourceAttributes(env: Record<string, string | undefined>): Record<string, string | undefined> {
  return {
    'service.name': env['WEBSITE_SITE_NAME'] || 'dataverse-sqlite-sync',
    'service.instance.id': env['WEBSITE_INSTANCE_ID'] || undefined,
  };
}

type Resource = { attributes: Record<string, unknown> };
const scope = { name: 'dataverse-sqlite-sync' };
const kinds = { internal: 0, server: 1, client: 2 } as const;
/** UNSET and ERROR. */
const statusCodes = { ok: 0, error: 2 } as const;

/** @param milliseconds since 1970 @returns seconds and nanoseconds */
function hrTime(milliseconds: number): [number, number] {
  const seconds = Math.floor(milliseconds / 1000);
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)];
}

function spanOf(span: EndedSpan, resource: Resource, share: number): object {
  const { name, kind, context, parentId, attributes, startedAt, endedAt, links, isError } = span;
  const contextOf = (ids: EndedSpan['context']) => ({ ...ids, traceFlags: 1 });
  return {
    name,
    kind: kinds[kind],
    spanContext: () => contextOf(context),
    parentSpanContext: parentId && contextOf({ traceId: context.traceId, spanId: parentId }),
    startTime: hrTime(startedAt),
    endTime: hrTime(endedAt),
    duration: hrTime(Math.max(0, endedAt - startedAt)),
    // The rate in percent, from which Application Insights estimates the count of all.
    attributes: { ...defined(attributes), ...(share < 1 && { 'microsoft.sample_rate': share * 100 }) },
    status: { code: isError ? statusCodes.error : statusCodes.ok },
    links: links.map((link) => ({ context: contextOf(link) })),
    events: [],
    ended: true,
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function logRecordOf({ name, properties, measurements, at, span }: MonitorEvent, resource: Resource): object {
  const time = hrTime(at ?? Date.now());
  return {
    hrTime: time,
    hrTimeObserved: time,
    spanContext: span && { ...span, traceFlags: 1 },
    body: { measurements: { ...measurements } },
    attributes: { ...properties, 'microsoft.custom_event.name': name },
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
  };
}

/** Every metric is sent as a histogram without buckets: sum, count, least and greatest value since the last time. */
function resourceMetricsOf(points: readonly MetricPoint[], resource: Resource): Metrics {
  const time = hrTime(Date.now());
  const metrics = points.map(({ name, dimensions, count, sum, min, max }) => ({
    descriptor: { name, description: '', unit: '', type: 'HISTOGRAM', valueType: 1, advice: {} },
    aggregationTemporality: 0,
    dataPointType: 0,
    dataPoints: [
      {
        startTime: time,
        endTime: time,
        attributes: dimensions,
        value: { count, sum, min, max, buckets: { boundaries: [], counts: [count] } },
      },
    ],
  }));
  return { resource, scopeMetrics: [{ scope, metrics }] } as unknown as Metrics;
}

function defined(attributes: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}
