import type { LogEntry } from '../functions-host/host.ts';

/**
 * Picks what the terminal shows of the log: warnings and errors, and of a failed invocation the line of the app that
 * says what happened, or else the line of the host. Those of the function syncStart are left out, because its HTTP
 * response says the same. The log file has all lines, with their fields and stacks.
 */
export class TerminalLog {
  /** Invocations of which the app has said something. */
  readonly #told = new Set<string>();

  /** The line for a log entry, undefined if the terminal does not show it. */
  lineOf({ level, category, message, invocationId = '' }: LogEntry): string | undefined {
    const isEnd = message.startsWith('Executed ');
    const isTold = this.#told.has(invocationId);
    if (isEnd) this.#told.delete(invocationId);
    if (level !== 'warning' && level !== 'error' && level !== 'critical') return undefined;
    if (category.startsWith('Function.syncStart')) return undefined;
    if (isEnd && isTold) return undefined;
    if (!isEnd && invocationId !== '') this.#told.add(invocationId);
    const name = category.replace(/^Function\.|\.User$/g, '');
    return `  ${level} in ${name}: ${message.split('\n')[0]!.replace(/ \{"\w+":.*\}$/, '')}`;
  }
}
