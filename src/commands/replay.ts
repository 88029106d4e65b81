/** `dataverse-sqlite-sync replay`: queues poison records again. */
import { parseArgs } from 'node:util';
import { readMetricsSettings } from '../config/metrics-settings.ts';
import { readSettings } from '../config/settings.ts';
import { replayPoison } from '../metrics/write/replay-poison.ts';
import { createMetricsServices } from '../metrics-services.ts';
import { commandEnvironment } from './command-environment.ts';

export const help = `Queues the campaign metrics that Dataverse rejected again; the function app then writes them.

  dataverse-sqlite-sync replay [--dry-run] [--data DIR] [--environment NAME] [--id <row id>]…

  --dry-run      list the records without queueing them
  --id           only this record; can be repeated
  --data         use the storage and Dataverse of the npm start that runs with this data folder
  --environment  work with this environment of environments.json; by default with that of the app settings
  --help

Settings come from environment variables or from local.settings.json; where neither names
an environment or a storage account, from the npm start that is running.`;

/** @returns false if something is left to do */
export async function run(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      'dry-run': { type: 'boolean', default: false },
      data: { type: 'string' },
      environment: { type: 'string' },
      id: { type: 'string', multiple: true, default: [] },
    },
  });
  const env = commandEnvironment({ data: values.data, environment: values.environment });
  const services = createMetricsServices(readSettings(env), readMetricsSettings(env));
  const ids = values.id.map((id) => id.toLowerCase());
  const records = await replayPoison(services, { ids, dryRun: values['dry-run'] });
  for (const { id, acceptedAt, refusedAt, error } of records) {
    console.log(`${id}  accepted ${acceptedAt}, rejected ${refusedAt}: ${error}`);
  }
  const count = records.length === 1 ? '1 record' : `${records.length} records`;
  console.log(values['dry-run'] ? `${count} would be queued again.` : `${count} queued again.`);
  return true;
}
