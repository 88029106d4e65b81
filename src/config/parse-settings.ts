import type { z } from 'zod';
import { ConfigurationError } from '../errors.ts';

/**
 * Validates app settings against a schema of setting names.
 * An empty value counts as not set, because Azure shows cleared settings as empty.
 * @throws ConfigurationError that names every invalid setting
 */
export function parseSettings<Schema extends z.ZodType>(
  schema: Schema,
  env: Record<string, string | undefined>,
  details: { operation: string; hint: string },
): z.infer<Schema> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim()));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => {
    const name = String(issue.path[0]);
    return given[name] === undefined ? `${name} is missing` : `${name}: ${issue.message}`;
  });
  throw new ConfigurationError(`Invalid app settings: ${faults.join('; ')}.`, details);
}
