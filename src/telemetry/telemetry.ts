/**
 * Log lines, events and metrics of the app. Only this folder knows the monitor, Application Insights; all other
 * code uses `Telemetry`, and `inSpan` for traces.
 */
import { safeText } from '../safe-text.ts';
import type { MonitorClient } from './monitor-client.ts';
import type { Dimensions, EventFigures, EventName, EventProperties, MetricName } from './names.ts';
import { currentScope } from './scope.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type Properties = Record<string, string | number | boolean | undefined>;

export interface Telemetry {
  /**
   * Writes one line for people, with properties to filter by. Neither may hold a secret or row data. Within a run, the
   * line names it.
   */
  log(level: LogLevel, message: string, properties?: Properties): void;
  /** Sends an event with figures to the monitor. What is undefined is left out. */
  event<Name extends EventName>(
    name: Name,
    properties: EventProperties<Name>,
    figures: EventFigures<Name>,
  ): void;
  /** Adds a value to a metric of the monitor. */
  metric<Name extends MetricName>(name: Name, value: number, dimensions: Dimensions<Name>): void;
}

/** Where log lines go. */
export type LogSink = (level: LogLevel, line: string) => void;

/** @param common properties of every line and event, and dimensions of every metric, such as the environment */
export function createTelemetry(
  sink: () => LogSink,
  monitor: () => MonitorClient | undefined,
  common: Record<string, string | undefined> = {},
): Telemetry {
  const dimensionsOfAll = Object.fromEntries(defined(common)) as Record<string, string>;
  return {
    log(level, message, properties = {}) {
      const { runId } = currentScope();
      sink()(level, logLine(message, { ...common, runId, ...properties }));
    },
    event(name, properties, figures) {
      const texts = defined({ ...common, ...properties }).map(([key, value]) => [
        key,
        safeText(String(value)),
      ]);
      monitor()?.trackEvent({
        name,
        properties: Object.fromEntries(texts),
        measurements: Object.fromEntries(defined(figures)) as Record<string, number>,
      });
    },
    metric(name, value, dimensions) {
      monitor()?.trackMetric(name, value, { ...dimensionsOfAll, ...dimensions });
    },
  };
}

/**
 * A log line: the message, then its properties as JSON, so that a query or a script can filter by them:
 * `Run … is complete. {"runId":"…","rowsRead":12}`.
 */
export function logLine(message: string, properties: Properties): string {
  const texts = defined(properties);
  if (texts.length === 0) return safeText(message);
  // Replacing characters in finished JSON could break it.
  const safe = texts.map(([name, value]) => [name, typeof value === 'string' ? safeText(value) : value]);
  return `${safeText(message)} ${JSON.stringify(Object.fromEntries(safe))}`;
}

function defined(properties: Properties): [string, Properties[string]][] {
  return Object.entries(properties).filter(([, value]) => value !== undefined);
}
