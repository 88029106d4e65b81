import type { InvocationContext } from '@azure/functions';
import { currentScope, inScope } from './scope.ts';
import type { LogLevel, LogSink } from './telemetry.ts';
import { parseTraceparent } from './traceparent.ts';

/**
 * Wraps the handler of a function: everything it logs belongs to its invocation, and its spans are children of the
 * host's span of the invocation.
 */
export function inInvocation<Input, Result>(
  handler: (input: Input, context: InvocationContext) => Result,
): (input: Input, context: InvocationContext) => Result {
  return (input, context) => {
    const span = parseTraceparent(context.traceContext?.traceParent);
    return inScope({ invocation: context, span }, () => handler(input, context));
  };
}

/** Writes to the log of the current invocation; outside of one, to the console. */
export function invocationSink(): LogSink {
  const { invocation } = currentScope();
  return (level, line) => (invocation === undefined ? toConsole(level, line) : invocation[level](line));
}

function toConsole(level: LogLevel, line: string): void {
  if (level !== 'debug') console[level](line);
}
