/**
 * What the app tells about itself: log lines, events and metrics. This folder is the only place that names the
 * monitor; everything else talks to `Telemetry`.
 */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type Properties = Record<string, string | number | boolean | undefined>;

export interface Telemetry {
  /** One line for people, with properties for queries. Neither may hold a secret or row data. */
  log(level: LogLevel, message: string, properties?: Properties): void;
  /** Something that happened, with figures: `RunEnded`, `SliceFetched`. */
  event(name: string, properties: Properties, figures: Record<string, number>): void;
}

/** The part of the monitor's client that is used. */
export interface MonitorClient {
  trackEvent(event: {
    name: string;
    properties?: Record<string, string>;
    measurements?: Record<string, number>;
  }): void;
}

/** Where log lines go: the invocation that is running, else the console. */
export type LogSink = (level: LogLevel, line: string) => void;

export function createTelemetry(sink: () => LogSink, monitor: () => MonitorClient | undefined): Telemetry {
  return {
    log(level, message, properties = {}) {
      sink()(level, withProperties(message, properties));
    },
    event(name, properties, figures) {
      const texts = Object.entries(properties).filter(([, value]) => value !== undefined);
      monitor()?.trackEvent({
        name,
        properties: Object.fromEntries(texts.map(([key, value]) => [key, String(value)])),
        measurements: figures,
      });
    },
  };
}

function withProperties(message: string, properties: Properties): string {
  const given = Object.entries(properties).filter(([, value]) => value !== undefined);
  if (given.length === 0) return message;
  return `${message} [${given.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(' ')}]`;
}
