/** `dataverse-sqlite-sync restore`: lists the states of the database that are kept, and makes one of them the present one. */
import { parseArgs } from 'node:util';
import { databasePattern } from '../config/entities.ts';
import { readSettings } from '../config/settings.ts';
import { ConfigurationError } from '../errors.ts';
import { openRestore } from '../services.ts';
import { listVersions, type RestoreServices, restoreDatabase } from '../sync/restore/restore-database.ts';
import { commandEnvironment } from './command-environment.ts';

export const help = `Restores an earlier state of the database, with the cursors that belong to it. The next run then reads what changed in
Dataverse since that state was committed.

  dataverse-sqlite-sync restore --list [--database NAME] [--json] [--data DIR] [--environment NAME]
  dataverse-sqlite-sync restore --at TIME [--database NAME] [--json] [--data DIR] [--environment NAME]

  --list         the states that are kept, newest first
  --at           restore the newest state that was committed at or before TIME, such as 2026-11-20T12:00:00Z
  --database     the database that tables name with "database" in entities.json; by default the one that has all others
  --json         print JSON
  --data         use the storage of the npm start that runs with this data folder
  --environment  work with this environment of environments.json; by default with that of the app settings
  --help

The state that is replaced is kept, so a restore can be undone. While a run is live, nothing is restored.
Settings come from environment variables or from local.settings.json; where neither names
an environment or a storage account, from the npm start that is running.`;

/** @returns false if something is left to do */
export async function run(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      list: { type: 'boolean', default: false },
      at: { type: 'string' },
      database: { type: 'string' },
      json: { type: 'boolean', default: false },
      data: { type: 'string' },
      environment: { type: 'string' },
    },
  });
  if (values.list === (values.at !== undefined)) {
    throw new ConfigurationError('Give either --list or --at.', { hint: help });
  }
  const at = values.at === undefined ? undefined : timeOf(values.at);
  // This command does not use Dataverse, but readSettings requires it.
  const settings = readSettings({
    DATAVERSE_URL: 'https://unused.crm.dynamics.com',
    ...commandEnvironment({ data: values.data, environment: values.environment }),
  });
  if (settings.postgres !== undefined) {
    throw new ConfigurationError('The mirror is in PostgreSQL, whose server keeps the earlier states.', {
      object: 'SYNC_TARGET',
      hint: 'Restore the server, such as with the point-in-time restore of Azure Database for PostgreSQL. The cursors are in the database: the next run reads what changed since.',
    });
  }
  const services = openRestore(settings, databaseName(values.database));
  await (at === undefined ? list(services, values.json) : restore(services, at, values.json));
  return true;
}

/** @throws ConfigurationError if no database can have the name */
function databaseName(name: string | undefined): string | undefined {
  if (name === undefined || databasePattern.test(name)) return name;
  throw new ConfigurationError(`No database can be called ${name}.`, {
    hint: 'Use the "database" of an entry of entities.json, such as --database sales.',
  });
}

async function list(services: RestoreServices, asJson: boolean): Promise<void> {
  const versions = await listVersions(services);
  if (asJson) return console.log(JSON.stringify({ database: services.name, versions }));
  if (versions.length === 0) return console.log('There is no database, and no version of one.');
  for (const { kind, committedAt, bytes, runId, restoredFrom } of versions) {
    const run = runId === undefined ? '' : `  run ${runId}`;
    const from = restoredFrom === undefined ? '' : `  restored from ${restoredFrom}`;
    console.log(
      `${committedAt.toISOString()}  ${megabytes(bytes)}  ${kind.padEnd(8)}${run}${from}`.trimEnd(),
    );
  }
  if (versions.length === 1) {
    console.log(
      'No earlier state is kept. SYNC_KEEP_VERSIONS, or versioning of the storage account, keeps the next ones.',
    );
  }
}

async function restore(services: RestoreServices, at: Date, asJson: boolean): Promise<void> {
  const result = await restoreDatabase(services, at);
  const { name } = services;
  if (asJson) return console.log(JSON.stringify({ database: name, ...result }));
  const { version, isUnchanged, blocks, stagedBlocks, stagedBytes } = result;
  const committedAt = version.committedAt.toISOString();
  if (isUnchanged) {
    console.log(`${name} already is the state of ${committedAt}. Nothing was written.`);
    return;
  }
  console.log(
    `${name} is the state of ${committedAt} again: ${stagedBlocks} of ${blocks} blocks written (${megabytes(stagedBytes).trim()}).
The next run continues from its cursors and reads what changed in Dataverse since then. The state that was replaced is
kept: npm run restore -- --list shows it.`,
  );
}

/** @throws ConfigurationError if the text is not an instant */
function timeOf(text: string): Date {
  const at = new Date(text);
  // Without an offset, the time would depend on the machine.
  const isInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)$/i.test(text.trim());
  if (isInstant && !Number.isNaN(at.getTime())) return at;
  throw new ConfigurationError(`--at is not a time: ${text}`, {
    hint: 'Write it in ISO 8601 with an offset, such as 2026-11-20T12:00:00Z.',
  });
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`.padStart(10);
}
