import { basename, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { TableConfig } from '../../config/entities.ts';
import { ConfigurationError } from '../../errors.ts';
import { didYouMean } from '../../schema/did-you-mean.ts';
import type { RereadRequest } from '../../sync/documents/run.ts';
import { listOf, tablesReader } from '../dataverse-options.ts';

export const syncHelp = `Reads tables of Dataverse into a SQLite file. The next sync reads only what changed.

  dataverse-sqlite-sync sync --dataverse URL (--tables LIST | --entities FILE) --out FILE

  --dataverse URL             the environment, such as https://contoso.crm.dynamics.com; or DATAVERSE_URL
  --tables LIST               logical names, separated by commas: account,contact
  --entities FILE             tables with options: see docs/configuration.md
  --out FILE                  the SQLite file. What the next sync needs to know is in it, and in FILE-sync
  --reread LIST               read these tables again in full; all: every table
  --allow-mass-delete LIST    delete rows of these tables beyond the limit, once
  --drop LIST                 drop tables that are no longer synced
  --json                      print the result as one line of JSON
  --quiet                     print no progress
  --verbose                   print the log
  --help

Sign-in: DATAVERSE_TENANT_ID, DATAVERSE_CLIENT_ID and DATAVERSE_CLIENT_SECRET; or a managed identity; or the login of the
Azure CLI (az login). DATAVERSE_ACCESS_TOKEN is for tests. The SYNC_ settings apply, as far as they do not name storage.
A sync that is killed continues when the command runs again.
Exit status: 0 complete; 1 failed, or a table needs attention; 2 wrong options; 130 interrupted.`;

export interface SyncOptions {
  dataverse: string | undefined;
  /** Reads the tables again for each run. */
  tables: () => TableConfig[];
  /** Whether `--tables` names them. */
  areListed: boolean;
  /** Absolute. */
  out: string;
  reread: RereadRequest | undefined;
  allowMassDelete: string[] | undefined;
  dropTables: string[] | undefined;
  json: boolean;
  quiet: boolean;
  verbose: boolean;
}

/** @throws ConfigurationError for options that are missing or contradict each other, and the errors of `parseArgs` */
export function parseSyncOptions(args: readonly string[]): SyncOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      dataverse: { type: 'string' },
      tables: { type: 'string' },
      entities: { type: 'string' },
      out: { type: 'string' },
      reread: { type: 'string' },
      'allow-mass-delete': { type: 'string' },
      drop: { type: 'string' },
      json: { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  });
  const { dataverse, tables, entities, out, reread, json, quiet, verbose } = values;
  const fail = (message: string, hint: string): never => {
    throw new ConfigurationError(message, { operation: 'read the options', hint });
  };
  if (out === undefined || out === '') return fail('--out is missing.', 'Name the SQLite file: --out my.db');
  const read = tablesReader({ tables, entities }, basename(out));
  // A wrong name is an error before anything is created.
  const named = read().map(({ name }) => name);
  const lists = {
    '--reread': reread === 'all' ? [] : listOf(reread),
    '--allow-mass-delete': listOf(values['allow-mass-delete']),
  };
  for (const [option, names = []] of Object.entries(lists)) {
    const unknown = names.find((name) => !named.includes(name));
    if (unknown !== undefined) {
      fail(
        `${option}: ${unknown} is not among the tables${didYouMean(unknown, named) || '.'}`,
        'Name tables that are synced.',
      );
    }
  }
  return {
    ...{
      dataverse,
      tables: read,
      areListed: entities === undefined,
      out: resolve(out),
      json,
      quiet,
      verbose,
    },
    reread: reread === 'all' ? 'all' : listOf(reread),
    allowMassDelete: listOf(values['allow-mass-delete']),
    dropTables: listOf(values.drop),
  };
}
