import { monitor } from './monitor.ts';
import type { Attributes, SpanKind } from './monitor-client.ts';
import { isSampled } from './sampling.ts';
import { currentScope, inScope, type Scope, type SpanContext } from './scope.ts';
import { formatTraceparent, newSpanId, newTraceId, parseTraceparent } from './traceparent.ts';

export interface SpanOptions {
  /** @default 'internal': work of this app. `client`: a request to a service. */
  kind?: SpanKind;
  /** Neither may hold a value of a row, an id of a row, a query or a token. */
  attributes?: Attributes;
  links?: (SpanContext | undefined)[];
}

/** A span that is open. What is set here is sent when it ends. */
export interface OpenSpan {
  attributes: Attributes;
  /** The response says that the request failed, although nothing is thrown. */
  isError: boolean;
}

/**
 * Starts a span below the current one. Undefined without a monitor, outside of a trace, and for a trace that is not
 * sampled.
 * @param name of bounded variety: it names the table and the operation, never a row
 */
export function startSpan(
  name: string,
  { kind = 'internal', attributes = {}, links = [] }: SpanOptions,
): { open: OpenSpan; context: SpanContext; end(): void } | undefined {
  const { span: parent } = currentScope();
  const client = parent === undefined ? undefined : monitor();
  if (parent === undefined || client === undefined || !isSampled(parent.traceId)) return undefined;
  const open: OpenSpan = { attributes: { ...attributes }, isError: false };
  const context = { traceId: parent.traceId, spanId: newSpanId() };
  const startedAt = now();
  const end = () => {
    const known = links.filter((link) => link !== undefined);
    const ids = { context, parentId: parent.spanId, links: known };
    try {
      client.trackSpan({ name, kind, ...ids, startedAt, endedAt: now(), ...open });
    } catch {
      // The work of the span is done: its result counts, and a span that is lost does not.
    }
  };
  return { open, context, end };
}

/**
 * Runs `work` as a span below the current one. Where `startSpan` starts none, it only runs `work`.
 * @param name as of `startSpan`
 */
export async function inSpan<Result>(
  name: string,
  options: SpanOptions,
  work: (span: OpenSpan) => Promise<Result>,
): Promise<Result> {
  const started = startSpan(name, options);
  if (started === undefined) return work({ attributes: {}, isError: false });
  const { open, context, end } = started;
  try {
    return await inScope({ span: context }, () => work(open));
  } catch (error) {
    open.isError = true;
    open.attributes['error.type'] ??= (error as Error)?.name;
    throw error;
  } finally {
    end();
  }
}

/** Milliseconds since 1970, with fractions. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

/** The `traceparent` of a new run. Undefined without a monitor. */
export function newRunTrace(): string | undefined {
  if (monitor() === undefined) return undefined;
  return formatTraceparent({ traceId: newTraceId(), spanId: newSpanId() });
}

/** The `traceparent` of the current span, for a message that another trace links to. Undefined without a monitor. */
export function currentTraceparent(): string | undefined {
  const { span } = currentScope();
  return span === undefined || monitor() === undefined ? undefined : formatTraceparent(span);
}

/** Whose `traceparent` travels in messages and in run.json. */
export interface TracedRun {
  runId: string;
  traceparent?: string | undefined;
}

/**
 * Runs `work` as a part of a run: its spans are children of the run's span, its log lines name the run, and its
 * messages carry the run's `traceparent`. All parts are direct children of the run's span. So the trace is whole also
 * if a process dies before it has sent the span of a part.
 */
export function inRun<Result>(
  { runId, traceparent }: TracedRun,
  name: string,
  attributes: Attributes,
  work: () => Promise<Result>,
): Promise<Result> {
  const span = parseTraceparent(traceparent);
  // The host has a span of its own for the invocation, in a trace of its own: queues pass none on.
  const { span: invocation } = currentScope();
  const scope: Scope = span === undefined ? { runId } : { runId, span, runTrace: traceparent };
  const links = span === undefined ? [] : [invocation];
  const all = { 'sync.run_id': runId, ...attributes };
  return inScope(scope, () => inSpan(name, { attributes: all, links }, work));
}

/** The `traceparent` of the current run, for its messages. */
export function currentRunTrace(): string | undefined {
  return currentScope().runTrace;
}

/**
 * Sends the span of a whole run, the root of its trace, when the run has ended. Another process may have started it.
 * @param run times in ISO 8601
 */
export function sendRunSpan(
  run: TracedRun & { startedAt: string; finishedAt: string },
  outcome: { isError: boolean; attributes: Attributes },
): void {
  const context = parseTraceparent(run.traceparent);
  if (context === undefined || !isSampled(context.traceId)) return;
  const { attributes, isError } = outcome;
  monitor()?.trackSpan({
    name: 'Sync run',
    kind: 'server',
    context,
    startedAt: Date.parse(run.startedAt),
    endedAt: Date.parse(run.finishedAt),
    attributes: { 'sync.run_id': run.runId, ...attributes },
    links: [],
    isError,
  });
}
