/** `dataverse-sqlite-sync move`: moves the mirror with its cursors to another target. */
import { parseArgs } from 'node:util';
import { ConfigurationError } from '../errors.ts';
import { moveMirror } from '../move-services.ts';
import { printableJson } from '../safe-text.ts';
import { createTelemetry } from '../telemetry/telemetry.ts';
import { formatBytes, plural } from '../terminal/format.ts';
import { commandEnvironment } from './command-environment.ts';

export const help = `Moves the mirror with its cursors to PostgreSQL, or from there to a SQLite file, so that Dataverse is not read again.

  dataverse-sqlite-sync move --to postgres [--json] [--environment NAME]
  dataverse-sqlite-sync move --to sqlite [--json] [--environment NAME]

  --to           the target that takes over rows, histories, deletes, log, labels and cursors; it must have no mirror yet
  --json         print JSON
  --data         use the storage of the npm start that runs with this data folder
  --environment  work with this environment of environments.json; by default with that of the app settings
  --help

Settings come from environment variables or from local.settings.json: those of the file's storage account, and POSTGRES_URL,
or POSTGRES_HOST, POSTGRES_DATABASE and POSTGRES_USER. The mirror that is moved stays as it is. Then set SYNC_TARGET: the
next run reads what changed in Dataverse since the last sync.`;

/** @returns false if a table could not be taken over */
export async function run(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      to: { type: 'string' },
      json: { type: 'boolean', default: false },
      data: { type: 'string' },
      environment: { type: 'string' },
    },
  });
  const { to } = values;
  if (to !== 'sqlite' && to !== 'postgres') {
    throw new ConfigurationError('Give --to postgres or --to sqlite.', { hint: help });
  }
  // This command does not use Dataverse, but readSettings requires it.
  const env = {
    DATAVERSE_URL: 'https://unused.crm.dynamics.com',
    ...commandEnvironment({ data: values.data, environment: values.environment }),
  };
  const quiet = createTelemetry(
    () => () => undefined,
    () => undefined,
  );
  const moved = await moveMirror(to, env, quiet);
  if (values.json) console.log(printableJson(moved));
  else for (const line of lines(to, moved)) console.log(line);
  return moved.tables.every(({ error }) => error === undefined);
}

function lines(to: string, { tables, bytes }: Awaited<ReturnType<typeof moveMirror>>): string[] {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  return [
    ...tables.flatMap(({ table, rows: count, notes, error }) => [
      error === undefined ? `${table}: ${plural(count, 'row')}` : `${table} was not moved: ${error}`,
      ...notes.map((note) => `  ${note}.`),
    ]),
    `${plural(rows, 'row')} of ${plural(tables.length, 'table')} moved, ${formatBytes(bytes)}. Set SYNC_TARGET=${to}: the next run continues from here.`,
  ];
}
