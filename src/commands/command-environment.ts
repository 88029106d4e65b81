import { join } from 'node:path';
import { readLocalSettings } from '../config/local-settings-file.ts';
import { runningSettings } from './running-app.ts';

export interface CommandEnvironmentOptions {
  /** The folder of the app. @default the working directory */
  folder?: string;
  env?: Record<string, string | undefined>;
  /** The data folder of a running `npm start`, whose storage and Dataverse the command is to use. */
  data?: string | undefined;
}

/**
 * The app settings for a command that runs outside the functions host: the `Values` of local.settings.json,
 * if the file exists, overridden by environment variables. Where neither names a Dataverse or a storage account, those
 * of a running `npm start`.
 * @throws ConfigurationError if the file is not valid, or no or more than one `npm start` runs
 */
export function commandEnvironment({
  folder = process.cwd(),
  env = process.env,
  data,
}: CommandEnvironmentOptions = {}): Record<string, string | undefined> {
  const settings = { ...readLocalSettings(join(folder, 'local.settings.json')), ...env };
  const isConfigured = Object.entries(settings).some(
    ([name, value]) => /^(?:DATAVERSE_URL$|AzureWebJobsStorage)/.test(name) && value?.trim(),
  );
  if (data === undefined && isConfigured) return settings;
  return { ...settings, ...runningSettings(folder, data) };
}
