/**
 * Log lines, events and metrics of the app. Only this folder knows the monitor, Application Insights; all other
 * code uses `Telemetry`.
 */
import { safeText } from '../safe-text.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type Properties = Record<string, string | number | boolean | undefined>;

export interface Telemetry {
  /** Writes one line for people, with properties to filter by. Neither may hold a secret or row data. */
  log(level: LogLevel, message: string, properties?: Properties): void;
  /** Sends an event with figures to the monitor: `RunEnded`, `SliceFetched`. */
  event(name: string, properties: Properties, figures: Record<string, number>): void;
}

/** The methods of the monitor's client that the app calls. */
export interface MonitorClient {
  trackEvent(event: {
    name: string;
    properties?: Record<string, string>;
    measurements?: Record<string, number>;
  }): void;
}

/** Where log lines go. */
export type LogSink = (level: LogLevel, line: string) => void;

export function createTelemetry(sink: () => LogSink, monitor: () => MonitorClient | undefined): Telemetry {
  return {
    log(level, message, properties = {}) {
      sink()(level, logLine(message, properties));
    },
    event(name, properties, figures) {
      const texts = defined(properties).map(([key, value]) => [key, safeText(String(value))]);
      monitor()?.trackEvent({ name, properties: Object.fromEntries(texts), measurements: figures });
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
