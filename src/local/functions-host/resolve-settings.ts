import { ConfigurationError } from '../../errors.ts';

/**
 * Replaces every `%NAME%` in the strings of a binding by the app setting of that name, at any depth
 * (learn.microsoft.com: Azure Functions binding expression patterns, "App settings").
 *
 * @throws ConfigurationError where a setting is absent; `where` names the function.
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
      throw new ConfigurationError(`${where}: %${name}% does not resolve to a value`, {
        object: name,
        hint: `Add the app setting ${name}.`,
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
