import { AsyncLocalStorage } from 'node:async_hooks';
import type { InvocationContext } from '@azure/functions';

/** Identifies a span, as W3C Trace Context names its parts: 32 and 16 hexadecimal digits. */
export interface SpanContext {
  traceId: string;
  spanId: string;
}

/** What the current code works for, so that code far below a trigger can log and trace under it. */
export interface Scope {
  /** The invocation of a function, whose log receives the lines. */
  invocation?: InvocationContext;
  /** The id of the run, which every line of the log names. */
  runId?: string;
  /** The span that new spans are children of. */
  span?: SpanContext;
  /** The `traceparent` of the run, which travels in its queue messages. */
  runTrace?: string;
}

const scopes = new AsyncLocalStorage<Scope>();

export function currentScope(): Scope {
  return scopes.getStore() ?? {};
}

/** Runs `work` in the current scope with other members. */
export function inScope<Result>(members: Scope, work: () => Result): Result {
  return scopes.run({ ...scopes.getStore(), ...members }, work);
}
