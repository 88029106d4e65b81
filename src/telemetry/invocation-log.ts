import { AsyncLocalStorage } from 'node:async_hooks';
import type { InvocationContext } from '@azure/functions';
import type { LogLevel, LogSink } from './telemetry.ts';

/** The current invocation, so that code far below a trigger can log under its id. */
const current = new AsyncLocalStorage<InvocationContext>();

/** Wraps the handler of a function: everything it logs belongs to its invocation. */
export function inInvocation<Input, Result>(
  handler: (input: Input, context: InvocationContext) => Result,
): (input: Input, context: InvocationContext) => Result {
  return (input, context) => current.run(context, handler, input, context);
}

/** Writes to the log of the current invocation; outside of one, to the console. */
export function invocationSink(): LogSink {
  const context = current.getStore();
  return (level, line) => (context === undefined ? toConsole(level, line) : context[level](line));
}

function toConsole(level: LogLevel, line: string): void {
  if (level !== 'debug') console[level](line);
}
