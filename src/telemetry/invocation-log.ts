import { AsyncLocalStorage } from 'node:async_hooks';
import type { InvocationContext } from '@azure/functions';
import type { LogLevel, LogSink } from './telemetry.ts';

/** The invocation that is running, so that code far below a trigger logs under its id. */
const current = new AsyncLocalStorage<InvocationContext>();

/** Runs a handler so that whatever it logs belongs to its invocation. */
export function inInvocation<T>(context: InvocationContext, work: () => T): T {
  return current.run(context, work);
}

/** The sink of the running invocation; the console outside of any. */
export function invocationSink(): LogSink {
  const context = current.getStore();
  return (level, line) => (context === undefined ? toConsole(level, line) : toContext(context, level, line));
}

function toContext(context: InvocationContext, level: LogLevel, line: string): void {
  if (level === 'debug') context.debug(line);
  else if (level === 'info') context.info(line);
  else if (level === 'warn') context.warn(line);
  else context.error(line);
}

function toConsole(level: LogLevel, line: string): void {
  if (level === 'error') console.error(line);
  else if (level === 'warn') console.warn(line);
  else if (level === 'info') console.info(line);
}
