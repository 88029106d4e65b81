import { join } from 'node:path';
import { readEnvironments } from '../config/environments/read-environments.ts';
import { readLocalSettings } from '../config/local-settings-file.ts';
import { ConfigurationError } from '../errors.ts';
import { runningSettings } from './running-app.ts';

export interface CommandEnvironmentOptions {
  /** The folder of the app. @default the working directory */
  folder?: string;
  env?: Record<string, string | undefined>;
  /** The data folder of a running `npm start`, whose storage and Dataverse the command is to use. */
  data?: string | undefined;
  /** The name of an environment in environments.json. @default that of the app settings */
  environment?: string | undefined;
}

/**
 * The app settings for a command that runs outside the functions host: the `Values` of local.settings.json,
 * if the file exists, overridden by environment variables. Where neither names a Dataverse or a storage account, those
 * of a running `npm start`.
 * @throws ConfigurationError if the file is not valid, no or more than one `npm start` runs, or there is no such environment
 */
export function commandEnvironment({
  folder = process.cwd(),
  env = process.env,
  data,
  environment,
}: CommandEnvironmentOptions = {}): Record<string, string | undefined> {
  const settings = appSettings({ folder, env, data });
  return environment === undefined ? settings : settingsOfEnvironment(environment, settings, folder);
}

function appSettings({
  folder,
  env,
  data,
}: Required<Omit<CommandEnvironmentOptions, 'data' | 'environment'>> & {
  data: string | undefined;
}): Record<string, string | undefined> {
  const settings = { ...readLocalSettings(join(folder, 'local.settings.json')), ...env };
  const isConfigured = Object.entries(settings).some(
    ([name, value]) => /^(?:DATAVERSE_URL$|AzureWebJobsStorage)/.test(name) && value?.trim(),
  );
  if (data === undefined && isConfigured) return settings;
  return { ...settings, ...runningSettings(folder, data) };
}

function settingsOfEnvironment(
  name: string,
  settings: Record<string, string | undefined>,
  folder: string,
): Record<string, string | undefined> {
  const { environments, faults } = readEnvironments(settings, folder);
  const found = environments.find((one) => one.name === name);
  if (found !== undefined) return found.settings;
  const names = environments.flatMap((one) => one.name ?? []);
  const why = settings['SYNC_ENVIRONMENTS_FILE']?.trim()
    ? [...faults, `The environments are ${names.join(', ') || 'none'}.`].join(' ')
    : 'SYNC_ENVIRONMENTS_FILE is not set, so there is only the environment of the app settings.';
  throw new ConfigurationError(`There is no environment ${name}.`, {
    operation: 'read the settings of an environment',
    object: name,
    hint: why,
  });
}
