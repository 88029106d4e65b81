import { setTimeout as delay } from 'node:timers/promises';
import { Ncrontab } from '../../../config/ncrontab.ts';
import {
  type InvocationRequest,
  type RegisteredFunction,
  type RetryOptions,
  triggerOf,
} from '../core-api.ts';
import type { Invoker } from '../invoker.ts';
import type { Log } from '../log.ts';
import { MAX_TIMEOUT, parseTimeSpan } from './time-span.ts';

interface Options {
  fn: RegisteredFunction;
  invoker: Invoker;
  log: Log;
}

/**
 * A timer trigger with an NCRONTAB expression or a time span. Occurrences that were missed because of a long run or
 * because the machine slept are replaced by one run with `isPastDue`. The schedule's status is kept in memory only, so
 * a restart resets it.
 */
export class TimerListener {
  readonly #options: Options;
  readonly #next: (after: Date) => Date | undefined;
  readonly #runOnStartup: boolean;
  readonly #stopping = new AbortController();
  #last = new Date(0);

  /** @throws ConfigurationError if the schedule is not valid */
  constructor(options: Options) {
    this.#options = options;
    const [, trigger] = triggerOf(options.fn.metadata);
    this.#next = parseSchedule(String(trigger['schedule']), options.fn.metadata.name);
    this.#runOnStartup = trigger['runOnStartup'] === true;
  }

  start(): void {
    this.#listen().catch((error: Error) =>
      this.#options.log({
        level: 'critical',
        category: 'Host.Triggers.Timer',
        message: error.stack ?? error.message,
      }),
    );
  }

  /** Starts no more runs. A run that is in progress continues; the invoker waits for it. */
  stop(): void {
    this.#stopping.abort();
  }

  /** Runs the function now, with the retries of its retry policy. @throws the error of the last try */
  async invoke(isPastDue = false, reason = 'This function was programmatically called.'): Promise<void> {
    const { fn, invoker, log } = this.#options;
    const retry = fn.metadata.retryOptions;
    const now = new Date();
    const schedule = {
      Schedule: { AdjustForDST: true },
      ScheduleStatus: {
        Last: this.#last.toISOString(),
        Next: this.#next(now)?.toISOString() ?? '',
        LastUpdated: this.#last.toISOString(),
      },
      IsPastDue: isPastDue,
    };
    this.#last = now;
    const [trigger] = triggerOf(fn.metadata);
    let retryContext: InvocationRequest['retryContext'];
    for (let count = 0; ; count++) {
      try {
        await invoker.invoke(fn, {
          reason,
          inputData: [{ name: trigger, data: { json: JSON.stringify(schedule) } }],
          retryContext,
        });
        return;
      } catch (error) {
        const max = retry?.maxRetryCount ?? 0;
        if (retry === undefined || (max >= 0 && count >= max) || this.#stopping.signal.aborted) throw error;
        retryContext = {
          retryCount: count + 1,
          maxRetryCount: max,
          exception: { message: error instanceof Error ? error.message : String(error) },
        };
        const pause = retryDelay(retry, count);
        const { name } = fn.metadata;
        log({ level: 'warning', category: `Function.${name}`, message: `Retrying ${name} in ${pause} ms.` });
        await delay(pause, undefined, { signal: this.#stopping.signal }).catch(() => {
          throw error;
        });
      }
    }
  }

  async #listen(): Promise<void> {
    if (this.#runOnStartup) await this.#tick(false);
    let due = this.#next(new Date());
    while (due !== undefined && !this.#stopping.signal.aborted) {
      if (!(await this.#sleepUntil(due))) return;
      const following = this.#next(due);
      await this.#tick(following !== undefined && following.getTime() <= Date.now());
      const now = new Date();
      // If occurrences passed while the function ran, run it once at once.
      due =
        following !== undefined && following <= now ? latestBefore(this.#next, following, now) : following;
    }
  }

  async #tick(isPastDue: boolean): Promise<void> {
    // The invoker has logged the error; the schedule continues.
    await this.invoke(isPastDue, `Timer fired at ${new Date().toISOString()}`).catch(() => undefined);
  }

  /** Sleeps in parts, because `setTimeout` is limited to 24.8 days. Returns false if the host stops. */
  async #sleepUntil(due: Date): Promise<boolean> {
    for (let left = due.getTime() - Date.now(); left > 0; left = due.getTime() - Date.now()) {
      try {
        await delay(Math.min(left, MAX_TIMEOUT), undefined, { signal: this.#stopping.signal });
      } catch {
        return false;
      }
    }
    return !this.#stopping.signal.aborted;
  }
}

/** The latest occurrence that is not after `now`, so that a backlog counts as one. */
function latestBefore(next: (after: Date) => Date | undefined, first: Date, now: Date): Date {
  let latest = first;
  for (let due = next(latest); due !== undefined && due <= now; due = next(latest)) latest = due;
  return latest;
}

function parseSchedule(schedule: string, name: string): (after: Date) => Date | undefined {
  if (schedule.includes(':')) {
    const span = Math.max(1, parseTimeSpan(schedule, `Function ${name}: schedule`));
    return (after) => new Date(after.getTime() + span);
  }
  const expression = new Ncrontab(schedule);
  return (after) => expression.next(after);
}

/** Milliseconds before try `count + 1`. */
function retryDelay(retry: RetryOptions, count: number): number {
  if (retry.retryStrategy === 'fixedDelay') return (retry.delayInterval?.seconds ?? 0) * 1000;
  const min = (retry.minimumInterval?.seconds ?? 0) * 1000;
  const max = (retry.maximumInterval?.seconds ?? 0) * 1000;
  return Math.min(max, min * 2 ** count);
}
