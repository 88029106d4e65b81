/** `npm run metrics:replay`: tries poison records again. */
import { parseArgs } from 'node:util';
import { readMetricsSettings } from '../config/metrics-settings.ts';
import { readSettings } from '../config/settings.ts';
import { replayPoison } from '../metrics/write/replay-poison.ts';
import { createMetricsServices } from '../metrics-services.ts';
import { commandEnvironment } from './command-environment.ts';
import { runCommand } from './command-line.ts';

const help = `Queues the campaign metrics that Dataverse refused again; the function app writes them.

  npm run metrics:replay -- [--dry-run] [--id <row id>]…

  --dry-run    only list them
  --id         only this record; may be given several times
  --help

Settings come from environment variables, or from local.settings.json.`;

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      'dry-run': { type: 'boolean', default: false },
      id: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return true;
  }
  const env = commandEnvironment();
  const services = createMetricsServices(readSettings(env), readMetricsSettings(env));
  const ids = values.id.map((id) => id.toLowerCase());
  const records = await replayPoison(services, { ids, dryRun: values['dry-run'] });
  for (const { id, acceptedAt, refusedAt, error } of records) {
    console.log(`${id}  accepted ${acceptedAt}, refused ${refusedAt}: ${error}`);
  }
  const what = records.length === 1 ? '1 record' : `${records.length} records`;
  console.log(values['dry-run'] ? `${what} would be queued again.` : `${what} queued again.`);
  return true;
}

await runCommand(help, main);
