import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigurationError } from '../errors.ts';

export interface LocalSettingsInput {
  appRoot: string;
  dataverseUrl: string;
  /** The sample Dataverse takes any token. */
  isSample: boolean;
  connectionString: string;
  entitiesFile: string;
  once: boolean;
}

/**
 * The app settings for a local run: `Values` of local.settings.json where it exists, then the environment, then
 * what this run decides. The storage is always the emulator.
 */
export async function localSettings(input: LocalSettingsInput): Promise<Record<string, string>> {
  const values = await readValues(join(input.appRoot, 'local.settings.json'));
  const settings: Record<string, string> = { SYNC_SCHEDULE: '0 */15 * * * *' };
  for (const [name, value] of [...Object.entries(values), ...Object.entries(process.env)]) {
    if (typeof value === 'string') settings[name] = value;
  }
  return {
    ...settings,
    FUNCTIONS_WORKER_RUNTIME: 'node',
    DATAVERSE_URL: input.dataverseUrl,
    ...(input.isSample && { DATAVERSE_ACCESS_TOKEN: 'sample' }),
    AzureWebJobsStorage: input.connectionString,
    SYNC_ENTITIES_FILE: input.entitiesFile,
    // Nobody pays for a look at an empty queue here, and a person waits.
    AzureFunctionsJobHost__extensions__queues__maxPollingInterval: '00:00:00.200',
    // The one sync is asked for; the timer would only find it live.
    ...(input.once && { 'AzureWebJobs.syncTimer.Disabled': 'true' }),
  };
}

async function readValues(file: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  try {
    return (JSON.parse(text) as { Values?: Record<string, unknown> }).Values ?? {};
  } catch (cause) {
    throw new ConfigurationError(`${file} is not valid JSON: ${(cause as Error).message}`, {
      object: file,
      cause,
    });
  }
}
