import type { DataverseFault } from '../errors/errors.ts';
import { isRolledBack } from '../errors/fault-codes.ts';

/** When to retry and how long to wait: pure decisions, without clock or network. */

export interface RetryOptions {
  /** Attempts in total, including the first. @default 10 */
  maxTries: number;
  /** Seconds since the first attempt after which no new one starts. @default 240 */
  maxTotalSeconds: number;
  /**
   * Seconds since the first attempt up to which a `Retry-After` is waited for. @default 60; the caller's queue waits at
   * lower cost
   */
  maxPauseSeconds: number;
  /** Seconds before the first retry if the server named none; doubled for each further one. @default 1 */
  baseDelaySeconds: number;
  /** Upper bound of a wait that the client chooses, in seconds. @default 60 */
  maxDelaySeconds: number;
}

export const defaultRetryOptions: RetryOptions = {
  maxTries: 10,
  maxTotalSeconds: 240,
  maxPauseSeconds: 60,
  baseDelaySeconds: 1,
  maxDelaySeconds: 60,
};

export interface FailedTry {
  /** Number of the attempt that failed, from 1. */
  tries: number;
  /** Seconds since the first attempt started. */
  elapsedSeconds: number;
  /** Whether the same request may succeed later. */
  transient: boolean;
  /** Whether the server may have executed the request: see `maybeExecuted`. */
  maybeDone: boolean;
  /** Whether the server may execute the request twice without harm. */
  idempotent: boolean;
  retryAfterSeconds?: number | undefined;
}

/**
 * Seconds to wait before the retry, or undefined to give up.
 * `Retry-After` is authoritative: the wait is never shorter, and at most 0.25 seconds longer, so that clients
 * do not return all at once. A wait beyond the time gives up at once: the caller's queue waits at lower cost.
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
  const limit = failed.retryAfterSeconds === undefined ? options.maxTotalSeconds : maxPause(options);
  return failed.elapsedSeconds + wait > limit ? undefined : wait;
}

/** Seconds since the first attempt up to which a pause that the server asked for is waited for. */
export function maxPause({ maxPauseSeconds, maxTotalSeconds }: RetryOptions): number {
  return Math.min(maxPauseSeconds, maxTotalSeconds);
}

/** Network errors that occur before the request is sent. */
const codesOfUnsent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** Whether the server may have executed the failed request: no response, or one from a gateway, leaves it open. */
export function maybeExecuted({ transient, status, code = '', notSent }: DataverseFault): boolean {
  return transient && !notSent && status !== 429 && !isRolledBack(code) && !codesOfUnsent.has(code);
}
