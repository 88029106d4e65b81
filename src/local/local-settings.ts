import { join } from 'node:path';
import { Environment } from '../config/environments/environment.ts';
import { readLocalSettings } from '../config/local-settings-file.ts';

export interface LocalSettingsInput {
  appRoot: string;
  dataverseUrl: string;
  isSample: boolean;
  connectionString: string;
  entitiesFile: string;
  /** The environments.json of `--environments`; empty without. That of the user stays out: it may lead to storage elsewhere. */
  environmentsFile: string;
  /** Their names. */
  environments: readonly string[];
  once: boolean;
  /** A sync starts every 20 seconds, whatever the schedule. */
  live: boolean;
  /** The settings of where the mirror is. */
  target: Record<string, string>;
}

/**
 * The app settings of a local run: `Values` of local.settings.json if the file exists, then the environment, then the
 * settings that `npm start` decides. The storage is always the emulator.
 *
 * @throws ConfigurationError if local.settings.json is not valid JSON
 */
export async function localSettings(input: LocalSettingsInput): Promise<Record<string, string>> {
  const values = readLocalSettings(join(input.appRoot, 'local.settings.json'));
  const settings: Record<string, string> = { SYNC_SCHEDULE: '0 */15 * * * *' };
  for (const [name, value] of [...Object.entries(values), ...Object.entries(process.env)]) {
    if (typeof value === 'string') settings[name] = value;
  }
  // The mirror stays on this machine, whatever the environment of the user says.
  // An empty value also replaces an environment variable.
  for (const name of Object.keys(settings)) if (name.startsWith('POSTGRES_')) settings[name] = '';
  Object.assign(settings, input.target, {
    FUNCTIONS_WORKER_RUNTIME: 'node',
    DATAVERSE_URL: input.dataverseUrl,
    AzureWebJobsStorage: input.connectionString,
    // The database stays in the emulator too. An empty value also replaces an environment variable.
    SYNC_DATABASE_STORAGE: '',
    SYNC_DATABASE_STORAGE__accountName: '',
    SYNC_DATABASE_STORAGE__blobServiceUri: '',
    SYNC_DATABASE_STORAGE__clientId: '',
    SYNC_ENTITIES_FILE: input.entitiesFile,
    SYNC_ENVIRONMENTS_FILE: input.environmentsFile,
    // The emulator tells of each message that becomes visible. Polls find those of a process that was killed.
    AzureFunctionsJobHost__extensions__queues__maxPollingInterval: '00:00:05',
  });
  // The sample Dataverse accepts any token.
  if (input.isSample) settings['DATAVERSE_ACCESS_TOKEN'] = 'sample';
  if (input.live) settings['SYNC_SCHEDULE'] = '*/20 * * * * *';
  // `npm start` requests the one sync itself.
  if (input.once) {
    for (const name of [undefined, ...input.environments])
      settings[`AzureWebJobs.${new Environment(name, {}).functionName('syncTimer')}.Disabled`] = 'true';
  }
  return settings;
}
