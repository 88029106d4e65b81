/** What the app tells its monitor. Plain data, so that nothing of the monitor is loaded before it is sent. */
import type { SpanContext } from './scope.ts';

export type SpanKind = 'internal' | 'client' | 'server';

export type Attributes = Record<string, string | number | boolean | undefined>;

/** A span that has ended. Times are milliseconds since 1970, with fractions. */
export interface EndedSpan {
  name: string;
  kind: SpanKind;
  context: SpanContext;
  /** Absent for the root of a trace. */
  parentId?: string;
  startedAt: number;
  endedAt: number;
  attributes: Attributes;
  /** Spans of other traces that led to this one. */
  links: readonly SpanContext[];
  isError: boolean;
}

export interface MonitorEvent {
  name: string;
  properties?: Record<string, string>;
  measurements?: Record<string, number>;
  /** Milliseconds since 1970. */
  at?: number;
  /** The span in which it happened. */
  span?: SpanContext | undefined;
}

/** Values of one metric with the same dimensions. */
export interface MetricPoint {
  name: string;
  dimensions: Record<string, string>;
  count: number;
  sum: number;
  min: number;
  max: number;
}

/** Receives what the app tells. No method throws or waits. */
export interface MonitorClient {
  trackEvent(event: MonitorEvent): void;
  trackMetric(name: string, value: number, dimensions: Record<string, string>): void;
  trackSpan(span: EndedSpan): void;
  /** Sends what is waiting, unless the monitor has just refused it. Resolves in any case. */
  flush(): Promise<void>;
}
