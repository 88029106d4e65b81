/** `dataverse-sqlite-sync provision`: creates or completes the campaign metrics table in Dataverse. */
import { parseArgs } from 'node:util';
import { readMetricsSettings } from '../config/metrics-settings.ts';
import { readSettings } from '../config/settings.ts';
import { createDataverseClient } from '../dataverse/client.ts';
import { createCredential } from '../dataverse/credential.ts';
import { MetadataApi } from '../metrics/provision/metadata-api.ts';
import { provision } from '../metrics/provision/provision.ts';
import { commandEnvironment } from './command-environment.ts';

export const help = `Creates the campaign metrics table in Dataverse, or adds what it lacks: columns, alternate key, change
tracking. Running it again changes nothing. Then checks the privileges of the identity it runs as.

  dataverse-sqlite-sync provision [--dry-run] [--data DIR] [--environment NAME]

  --dry-run      print the changes without making them
  --data         use the storage and Dataverse of the npm start that runs with this data folder
  --environment  work with this environment of environments.json; by default with that of the app settings
  --help

DATAVERSE_URL and the sign-in settings come from environment variables or from local.settings.json; where neither names
an environment or a storage account, from the npm start that is running.`;

/** @returns false if something is left to do */
export async function run(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      'dry-run': { type: 'boolean', default: false },
      data: { type: 'string' },
      environment: { type: 'string' },
    },
  });
  // This command does not use storage, but readSettings requires it.
  const env = {
    AzureWebJobsStorage: 'UseDevelopmentStorage=true',
    ...commandEnvironment({ data: values.data, environment: values.environment }),
  };
  const { url, credential } = readSettings(env).dataverse;
  const client = createDataverseClient({ url, credential: createCredential(credential) });
  return provision(
    new MetadataApi(client),
    readMetricsSettings(env),
    { dryRun: values['dry-run'] },
    console.log,
  );
}
