import { UsageError } from './errors.ts';

/** @internal @throws UsageError for anything but a whole number from `min` on */
export function checkCount(value: number, what: string, min = 1): number {
  if (Number.isInteger(value) && value >= min) return value;
  throw new UsageError(`${what} must be a whole number from ${min} on`);
}
