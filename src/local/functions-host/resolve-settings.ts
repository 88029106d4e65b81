import { ConfigurationError } from '../../errors.ts';

/**
 * Replaces each `%NAME%` in the strings of a binding with the app setting of that name, at any depth
 * (learn.microsoft.com: Azure Functions binding expression patterns, "App settings").
 *
 * @param where the function, for the error message
 * @throws ConfigurationError if a setting is absent
 */
export function resolveSettings<T>(
  value: T,
  settings: Readonly<Record<string, string | undefined>>,
  where: string,
): T {
  if (typeof value === 'string') {
    return value.replace(/%([^%\s]+)%/g, (_, name: string) => {
      const setting = settings[name];
      if (setting !== undefined) return setting;
      throw new ConfigurationError(`${where}: the app setting ${name} is not set`, {
        object: name,
        hint: `Set ${name}, or remove %${name}% from the binding.`,
      });
    }) as T;
  }
  if (Array.isArray(value)) return value.map((item) => resolveSettings(item, settings, where)) as T;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).map(([key, item]) => [key, resolveSettings(item, settings, where)]);
    return Object.fromEntries(entries) as T;
  }
  return value;
}
