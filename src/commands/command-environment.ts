import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigurationError } from '../errors.ts';

/**
 * The app settings for a command that runs outside the functions host: the `Values` of local.settings.json,
 * if the file exists, overridden by environment variables.
 * @throws ConfigurationError if the file is not valid JSON
 */
export function commandEnvironment(
  folder: string = process.cwd(),
  env: Record<string, string | undefined> = process.env,
): Record<string, string | undefined> {
  const path = join(folder, 'local.settings.json');
  if (!existsSync(path)) return env;
  try {
    const { Values = {} } = JSON.parse(readFileSync(path, 'utf8')) as { Values?: Record<string, string> };
    return { ...Values, ...env };
  } catch {
    throw new ConfigurationError('local.settings.json is not valid JSON.', {
      operation: 'read the app settings',
      object: path,
      hint: 'Compare it with local.settings.json.example.',
    });
  }
}
