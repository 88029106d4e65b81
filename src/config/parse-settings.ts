import * as z from 'zod';
import { ConfigurationError } from '../errors.ts';
import { typeFault } from './type-faults.ts';

/**
 * Validates app settings against a schema of setting names.
 * An empty value counts as not set, because Azure shows cleared settings as empty.
 * @param check finds what the schema cannot, such as two settings that contradict each other
 * @throws ConfigurationError that names every invalid setting
 */
export function parseSettings<Schema extends z.ZodType>(
  schema: Schema,
  env: Record<string, string | undefined>,
  details: { operation: string; hint: string },
  check: (given: Record<string, string | undefined>) => string[] = () => [],
): z.infer<Schema> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim()));
  const parsed = schema.safeParse(given, { reportInput: true });
  const more = check(given);
  if (parsed.success && more.length === 0) return parsed.data;
  const faults = (parsed.error?.issues ?? []).map((issue) => {
    const name = String(issue.path[0]);
    return given[name] === undefined ? `${name} is missing` : `${name}: ${typeFault(issue) ?? issue.message}`;
  });
  throw new ConfigurationError(`Invalid app settings: ${[...faults, ...more].join('; ')}.`, details);
}

/** Reads two groups of settings. @throws ConfigurationError that names the faults of both */
export function readTogether<A, B>(readFirst: () => A, readSecond: () => B): [A, B] {
  const faults: ConfigurationError[] = [];
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      faults.push(error);
      return undefined;
    }
  };
  const first = attempt(readFirst);
  const second = attempt(readSecond);
  if (faults.length === 0) return [first as A, second as B];
  if (faults.length === 1) throw faults[0]!;
  const { operation, object, hint } = faults[0]!;
  throw new ConfigurationError(faults.map(({ message }) => message).join(' '), { operation, object, hint });
}

/** How much of a list that grows is kept: the newest `count`, of these only those that are not older than `seconds`. */
export interface Kept {
  count: number;
  seconds?: number;
}

const secondsOf = { h: 3600, d: 86_400 };

/**
 * A setting such as `20` (the newest 20), `7d` (seven days; `h` for hours), or both, `20,7d`.
 * @param maxCount also the count where only an age is given
 * @returns the count 0 for `0`
 */
export function keepSetting(fallback: string, minCount: number, maxCount: number) {
  const allowed = `must be a number from ${minCount} to ${maxCount}, an age such as 12h or 7d, or both such as 20,7d`;
  return z
    .string()
    .trim()
    .default(fallback)
    .transform((text, context): Kept => {
      const parts = text.split(',').map((part) => part.trim());
      const hasCount = /^\d{1,6}$/.test(parts[0]!);
      const count = hasCount ? Number(parts.shift()) : maxCount;
      const [, age, unit] = /^([1-9]\d{0,3})([hd])$/.exec(parts[0] ?? '') ?? [];
      const isValid = parts.length === (age === undefined ? 0 : 1) && (hasCount || age !== undefined);
      if (!isValid || count < minCount || count > maxCount) {
        context.addIssue({ code: 'custom', message: allowed });
        return z.NEVER;
      }
      return age === undefined ? { count } : { count, seconds: Number(age) * secondsOf[unit as 'h' | 'd'] };
    });
}
