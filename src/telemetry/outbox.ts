import type { EndedSpan, MetricPoint, MonitorEvent } from './monitor-client.ts';

/** What is sent together. */
export interface Batch {
  events: MonitorEvent[];
  metrics: MetricPoint[];
  spans: EndedSpan[];
}

/**
 * The most that waits of each kind: a few megabytes. Beyond that the oldest are dropped. One run adds up to eleven series
 * for each of 500 tables, and all of them must fit.
 */
export const maxWaiting: Readonly<Record<keyof Batch, number>> = { events: 1000, metrics: 8000, spans: 4000 };

/** What waits to be sent. Values of one metric with the same dimensions become one point. */
export class Outbox {
  #events: MonitorEvent[] = [];
  /** In the order of their latest values, the oldest first. */
  #metrics = new Map<string, MetricPoint>();
  #spans: EndedSpan[] = [];
  /** How much was dropped. */
  dropped = 0;

  get isEmpty(): boolean {
    return this.#events.length + this.#metrics.size + this.#spans.length === 0;
  }

  addEvent(event: MonitorEvent): void {
    this.#events.push(event);
    this.#limit(this.#events, maxWaiting.events);
  }

  addSpan(span: EndedSpan): void {
    this.#spans.push(span);
    this.#limit(this.#spans, maxWaiting.spans);
  }

  addMetric(point: MetricPoint): void {
    const key = JSON.stringify([point.name, Object.entries(point.dimensions).sort()]);
    const known = this.#metrics.get(key);
    this.#metrics.delete(key);
    const { count = 0, sum = 0, min = point.min, max = point.max } = known ?? {};
    this.#metrics.set(key, {
      ...point,
      count: count + point.count,
      sum: sum + point.sum,
      min: Math.min(min, point.min),
      max: Math.max(max, point.max),
    });
    if (this.#metrics.size <= maxWaiting.metrics) return;
    const [oldest] = this.#metrics.keys();
    this.#metrics.delete(oldest!);
    this.dropped += 1;
  }

  /** Takes everything out. */
  take(): Batch {
    const batch = { events: this.#events, metrics: [...this.#metrics.values()], spans: this.#spans };
    this.#events = [];
    this.#metrics = new Map();
    this.#spans = [];
    return batch;
  }

  /** Puts back what could not be sent, before what has arrived meanwhile. */
  putBack({ events, metrics, spans }: Batch): void {
    this.#events.unshift(...events);
    this.#limit(this.#events, maxWaiting.events);
    this.#spans.unshift(...spans);
    this.#limit(this.#spans, maxWaiting.spans);
    const newer = this.#metrics;
    this.#metrics = new Map();
    for (const point of [...metrics, ...newer.values()]) this.addMetric(point);
  }

  #limit(items: unknown[], most: number): void {
    if (items.length <= most) return;
    this.dropped += items.length - most;
    items.splice(0, items.length - most);
  }
}
