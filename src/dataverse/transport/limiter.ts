import { performance } from 'node:perf_hooks';

interface Waiter {
  /** The longest pause that is worth waiting for. */
  patienceSeconds: number;
  again: boolean;
  start(): void;
  reject(reason: unknown): void;
}

/** The server asked for a longer pause than the caller can wait. */
export class PauseTooLong extends Error {
  readonly seconds: number;
  constructor(seconds: number) {
    super(`the server asked for a pause of ${seconds} seconds`);
    this.seconds = seconds;
  }
}

/** The longest pause that is believed, in seconds. Dataverse's own window is five minutes. */
const longestPause = 3600;

/** How many requests run at first, before Dataverse has said what it recommends. */
const firstWidth = 8;

/**
 * Lets so many requests run at once as the server bears, first come first served.
 * The width follows `x-ms-dop-hint` under the cap, is halved by a 429 and grows by one after a full
 * width of successes. A pause that one request was told holds for all of them: Dataverse's limits count
 * per user, and sending on lengthens them (learn.microsoft.com: "Service protection API limits").
 */
export class Limiter {
  #cap: number;
  #hint: number | undefined;
  #width: number;
  #running = 0;
  #successes = 0;
  #pausedUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #waiting: Waiter[] = [];

  constructor(cap: number) {
    this.#cap = Math.max(1, Math.floor(cap));
    this.#width = Math.min(firstWidth, this.#cap);
  }

  /** How many may run at once now. */
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
   * Resolves when a place is free and no pause holds. Every acquire needs one `release`.
   * @param patienceSeconds the longest pause that is worth waiting for; the queue itself may take longer
   * @param again whether it was sent before: it then goes before those that were not, since its time is counted
   * @throws PauseTooLong at once where a pause is longer
   */
  async acquire(signal?: AbortSignal, patienceSeconds = Infinity, again = false): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve: start, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { patienceSeconds, again, start, reject };
    const onAbort = () => this.#refuse(waiter, signal?.reason);
    signal?.addEventListener('abort', onAbort);
    const place = again ? this.#waiting.filter((other) => other.again).length : this.#waiting.length;
    this.#waiting.splice(place, 0, waiter);
    this.#refuseImpatient();
    this.#startWaiting();
    await promise.finally(() => signal?.removeEventListener('abort', onAbort));
  }

  release(): void {
    this.#running -= 1;
    this.#startWaiting();
  }

  /** An answer came that was no 429. */
  succeeded(dopHint?: number): void {
    if (dopHint !== undefined) this.#hint = dopHint;
    const ceiling = this.#ceiling();
    this.#successes += 1;
    if (this.#width > ceiling) this.#width = ceiling;
    else if (this.#width < ceiling && this.#successes >= this.#width) {
      this.#width += 1;
      this.#successes = 0;
    }
  }

  /** A 429 came: nobody sends for so many seconds, and fewer at once after that. */
  throttled(seconds: number): void {
    const now = performance.now();
    // Many requests of one burst are refused together: that is one signal, not one each.
    if (now >= this.#pausedUntil) this.#width = Math.max(1, Math.floor(this.#width / 2));
    this.#successes = 0;
    this.pause(seconds);
  }

  pause(seconds: number): void {
    const until = performance.now() + Math.min(seconds, longestPause) * 1000;
    this.#pausedUntil = Math.max(this.#pausedUntil, until);
    this.#refuseImpatient();
  }

  /** Those who cannot wait for the end of the pause are told at once. */
  #refuseImpatient(): void {
    const seconds = (this.#pausedUntil - performance.now()) / 1000;
    for (const waiter of this.#waiting.filter(({ patienceSeconds }) => patienceSeconds < seconds)) {
      this.#refuse(waiter, new PauseTooLong(Math.ceil(seconds)));
    }
  }

  #refuse(waiter: Waiter, reason: unknown): void {
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

/** The one limiter of this process for an origin: service protection counts per user, not per client object. */
export function limiterFor(origin: string, cap: number): Limiter {
  const limiter = limiters.get(origin) ?? new Limiter(cap);
  limiters.set(origin, limiter);
  limiter.setCap(cap);
  return limiter;
}
