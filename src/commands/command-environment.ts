import { join } from 'node:path';
import { readLocalSettings } from '../config/local-settings-file.ts';

/**
 * The app settings for a command that runs outside the functions host: the `Values` of local.settings.json,
 * if the file exists, overridden by environment variables.
 * @throws ConfigurationError if the file is not valid JSON
 */
export function commandEnvironment(
  folder: string = process.cwd(),
  env: Record<string, string | undefined> = process.env,
): Record<string, string | undefined> {
  return { ...readLocalSettings(join(folder, 'local.settings.json')), ...env };
}
