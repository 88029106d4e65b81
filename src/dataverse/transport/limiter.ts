import { performance } from 'node:perf_hooks';

interface Waiter {
  maxPauseSeconds: number;
  isRetry: boolean;
  start(): void;
  reject(reason: unknown): void;
}

/** The server asked for a longer pause than the caller can wait. */
export class PauseTooLongError extends Error {
  readonly seconds: number;
  constructor(seconds: number) {
    super(`the server asked for a pause of ${seconds} seconds`);
    this.seconds = seconds;
  }
}

/**
 * Upper bound of a pause of all requests, in seconds: the window of Dataverse's limits. After it, a request is tried
 * whatever the server asked for, so that a single response does not stop the process for longer.
 */
const longestPause = 300;

/** After how many 429 in a row, with successes of others in between, a resource counts as limited by itself. */
const ownLimitAfter = 3;

/** How many requests run at once before Dataverse has recommended a number. */
const firstWidth = 8;

/**
 * Limits how many requests run at once, first come, first served.
 * The width follows `x-ms-dop-hint` up to the cap; a 429 halves it, and a full width of successes increases
 * it by one. A pause that one request receives applies to all of them: Dataverse's limits count per user,
 * and further requests prolong them (learn.microsoft.com: "Service protection API limits").
 *
 * A resource that gets a 429 again and again, while requests for others succeed in between, has a limit of its own. Its
 * pauses do not apply to the others then, which would otherwise wait for ever.
 */
export class Limiter {
  #cap: number;
  #hint: number | undefined;
  #width: number;
  #running = 0;
  #successes = 0;
  #pausedUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  /** How often each resource was throttled in a row, with a success of another one in between. */
  readonly #throttledAlone = new Map<string, number>();
  /** Resources that had a success since the last 429. */
  readonly #succeeded = new Set<string>();
  readonly #waiting: Waiter[] = [];

  constructor(cap: number) {
    this.#cap = Math.max(1, Math.floor(cap));
    this.#width = Math.min(firstWidth, this.#cap);
  }

  /** How many requests may run at once now. */
  get width(): number {
    return this.#width;
  }

  get running(): number {
    return this.#running;
  }

  setCap(cap: number): void {
    this.#cap = Math.max(1, Math.floor(cap));
    this.#width = Math.min(this.#width, this.#ceiling());
    this.#startWaiting();
  }

  /**
   * Resolves when a slot is free and no pause applies. Every `acquire` needs one `release`.
   * @param maxPauseSeconds the longest pause that the caller waits for; the queue itself may take longer
   * @param isRetry retries go before new requests, because their total time is limited
   * @throws PauseTooLongError at once if a pause is longer
   */
  async acquire(signal?: AbortSignal, maxPauseSeconds = Infinity, isRetry = false): Promise<void> {
    signal?.throwIfAborted();
    let waiter!: Waiter;
    // Promise.withResolvers needs Node.js 22.
    const promise = new Promise<void>((start, reject) => {
      waiter = { maxPauseSeconds, isRetry, start, reject };
    });
    const onAbort = () => this.#remove(waiter, signal?.reason);
    signal?.addEventListener('abort', onAbort);
    const place = isRetry ? this.#waiting.filter((other) => other.isRetry).length : this.#waiting.length;
    this.#waiting.splice(place, 0, waiter);
    this.#rejectImpatient();
    this.#startWaiting();
    await promise.finally(() => signal?.removeEventListener('abort', onAbort));
  }

  release(): void {
    this.#running -= 1;
    this.#startWaiting();
  }

  /** Reports a response other than 429. */
  succeeded(dopHint?: number, resource = ''): void {
    this.#throttledAlone.delete(resource);
    this.#succeeded.add(resource);
    if (dopHint !== undefined) this.#hint = dopHint;
    const ceiling = this.#ceiling();
    this.#successes += 1;
    if (this.#width > ceiling) this.#width = ceiling;
    else if (this.#width < ceiling && this.#successes >= this.#width) {
      this.#width += 1;
      this.#successes = 0;
    }
  }

  /**
   * Reports a 429: no request starts for this many seconds, and fewer run at once afterwards.
   * @returns whether the pause applies to all requests, or to this resource alone
   */
  throttled(seconds: number, resource = ''): 'all' | 'resource' {
    const isAlone = this.#succeeded.size > 0 && !this.#succeeded.has(resource);
    this.#succeeded.clear();
    const times = isAlone ? (this.#throttledAlone.get(resource) ?? 0) + 1 : 0;
    this.#throttledAlone.set(resource, times);
    if (times >= ownLimitAfter) return 'resource';
    const now = performance.now();
    // Several requests of one burst fail together: the width is halved once.
    if (now >= this.#pausedUntil) this.#width = Math.max(1, Math.floor(this.#width / 2));
    this.#successes = 0;
    this.pause(seconds);
    return 'all';
  }

  pause(seconds: number): void {
    const until = performance.now() + Math.min(seconds, longestPause) * 1000;
    this.#pausedUntil = Math.max(this.#pausedUntil, until);
    this.#rejectImpatient();
  }

  /** Rejects the waiters that cannot wait for the end of the pause. */
  #rejectImpatient(): void {
    const seconds = (this.#pausedUntil - performance.now()) / 1000;
    for (const waiter of this.#waiting.filter(({ maxPauseSeconds }) => maxPauseSeconds < seconds)) {
      this.#remove(waiter, new PauseTooLongError(Math.ceil(seconds)));
    }
  }

  #remove(waiter: Waiter, reason: unknown): void {
    const place = this.#waiting.indexOf(waiter);
    if (place >= 0) this.#waiting.splice(place, 1);
    waiter.reject(reason);
  }

  #ceiling(): number {
    return Math.min(this.#cap, this.#hint ?? this.#cap);
  }

  #startWaiting(): void {
    const left = this.#pausedUntil - performance.now();
    if (left > 0) {
      if (this.#waiting.length === 0) return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#startWaiting(), Math.ceil(left));
      return;
    }
    for (; this.#running < this.#width && this.#waiting.length > 0; this.#running += 1) {
      this.#waiting.shift()!.start();
    }
  }
}

const limiters = new Map<string, Limiter>();

/** The process-wide limiter of an origin: service protection counts per user, not per client object. */
export function limiterFor(origin: string, cap: number): Limiter {
  const limiter = limiters.get(origin) ?? new Limiter(cap);
  limiters.set(origin, limiter);
  limiter.setCap(cap);
  return limiter;
}
