import { ServiceError } from '../http/service-error.ts';

/** The limits of service protection (learn.microsoft.com: Service protection API limits). */
export interface ProtectionLimits {
  /** Requests per window. Default 6,000. */
  requests?: number;
  /** Default 300. */
  windowSeconds?: number;
  /** Concurrent requests. Default 52. */
  concurrent?: number;
}

// The real service sends a thousands separator: `1,200.00`. Made once, because this takes longer than a small request.
const secondsFormat = new Intl.NumberFormat('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** Counts requests in a sliding window, rejects those above the limits, and reports the rest in headers. */
export class ServiceProtection {
  readonly #limits: Required<ProtectionLimits>;
  readonly #dopHint: number;
  #arrivals: number[] = [];
  #running = 0;
  #busySeconds = 0;
  #closedUntil = 0;
  /** Requests that came before the `Retry-After` of an earlier response had passed. */
  early = 0;

  constructor(limits: ProtectionLimits | undefined, dopHint: number) {
    this.#limits = { requests: 6000, windowSeconds: 300, concurrent: 52, ...limits };
    this.#dopHint = dopHint;
  }

  /**
   * Counts a request.
   * @throws ServiceError 429 if it exceeds a limit
   */
  enter(now = performance.now()): void {
    if (now < this.#closedUntil) this.early++;
    const { requests, windowSeconds, concurrent } = this.#limits;
    const start = now - windowSeconds * 1000;
    if (this.#arrivals.length > 0 && this.#arrivals[0]! <= start) {
      this.#arrivals = this.#arrivals.filter((arrival) => arrival > start);
    }
    this.#running++;
    if (this.#running > concurrent) {
      throw this.#throttled(
        '0x80072326',
        `Number of concurrent requests exceeded the limit of ${concurrent}.`,
        1,
      );
    }
    if (this.#arrivals.length >= requests) {
      const seconds = Math.ceil((this.#arrivals[0]! - start) / 1000);
      const message = `Number of requests exceeded the limit of ${requests} over time window of ${windowSeconds} seconds.`;
      throw this.#throttled('0x80072322', message, Math.max(1, seconds));
    }
    this.#arrivals.push(now);
  }

  leave(milliseconds: number): void {
    this.#running--;
    this.#busySeconds += milliseconds / 1000;
  }

  /** Notes that no request should come for so many seconds. */
  close(seconds: number, now = performance.now()): void {
    this.#closedUntil = Math.max(this.#closedUntil, now + seconds * 1000);
  }

  headers(): Record<string, string> {
    const time = Math.max(0, 1200 - this.#busySeconds);
    return {
      'x-ms-ratelimit-burst-remaining-xrm-requests': String(
        Math.max(0, this.#limits.requests - this.#arrivals.length),
      ),
      'x-ms-ratelimit-time-remaining-xrm-requests': secondsFormat.format(time),
      'x-ms-dop-hint': String(this.#dopHint),
    };
  }

  #throttled(code: string, message: string, seconds: number): ServiceError {
    return new ServiceError(429, code, message, { headers: { 'retry-after': String(seconds) } });
  }
}
