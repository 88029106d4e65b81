/** When to try again and how long to wait: pure decisions, no clock and no network. */

export interface RetryOptions {
  /** Tries in all, the first included. @default 10 */
  maxTries: number;
  /** Seconds from the first try after which no new one begins. @default 240 */
  maxTotalSeconds: number;
  /** Seconds before the second try where the server named none; doubled for each further one. @default 1 */
  baseDelaySeconds: number;
  /** The longest wait of the client's own choosing, in seconds. @default 60 */
  maxDelaySeconds: number;
}

export const defaultRetryOptions: RetryOptions = {
  maxTries: 10,
  maxTotalSeconds: 240,
  baseDelaySeconds: 1,
  maxDelaySeconds: 60,
};

export interface FailedTry {
  /** Which try failed, from 1. */
  tries: number;
  /** Seconds since the first try began. */
  elapsedSeconds: number;
  /** Whether the fault may pass. */
  transient: boolean;
  /** Whether the server may have carried the request out all the same (no answer, or a gateway's answer). */
  maybeDone: boolean;
  /** Whether doing it twice is as good as once. */
  idempotent: boolean;
  retryAfterSeconds?: number | undefined;
}

/**
 * Seconds to wait before the next try, or undefined to give up.
 * `Retry-After` is authoritative: never less, and only a little more, so that not everybody returns at once.
 * A wait beyond the total time gives up at once: the caller's queue can wait more cheaply.
 * @param random a number in [0, 1)
 */
export function retryDelay(failed: FailedTry, options: RetryOptions, random: number): number | undefined {
  if (!failed.transient || failed.tries >= options.maxTries) return undefined;
  if (failed.maybeDone && !failed.idempotent) return undefined;
  const own = Math.min(options.maxDelaySeconds, options.baseDelaySeconds * 2 ** (failed.tries - 1));
  const wait =
    failed.retryAfterSeconds === undefined
      ? own * (0.5 + random / 2)
      : failed.retryAfterSeconds + Math.min(0.25, own / 4) * random;
  return failed.elapsedSeconds + wait > options.maxTotalSeconds ? undefined : wait;
}
