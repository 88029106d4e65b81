import { rename, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { withDefaults } from '../../config/entities.ts';
import { createDataverseClient } from '../../dataverse/client.ts';
import { createCredential } from '../../dataverse/credential.ts';
import { ConfigurationError } from '../../errors.ts';
import { withFileErrors } from '../../storage/folder/file-errors.ts';
import { plural } from '../../terminal/format.ts';
import { settingsOf, tablesReader } from '../dataverse-options.ts';
import { readTables } from './read-tables.ts';
import { writeTypes } from './write-types.ts';

export const typesHelp = `Writes TypeScript types of tables: rows of the Web API and of the mirror, choices with their labels, lookups with their
targets, and table definitions for the client of dataverse-sqlite-sync/dataverse.

  dataverse-sqlite-sync types --dataverse URL (--tables LIST | --entities FILE) --out FILE

  --dataverse URL   the environment, such as https://contoso.crm.dynamics.com; or DATAVERSE_URL
  --tables LIST     logical names, separated by commas: account,contact
  --entities FILE   the tables of an entities.json
  --out FILE        the TypeScript file; - for standard output
  --only KIND       client: rows of the Web API; mirror: rows of the mirror. Without it: both
  --help

Sign-in as for sync. Exit status: 0; 1 failed; 2 wrong options.`;

/** `dataverse-sqlite-sync types`. @returns the exit status */
export async function types(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      dataverse: { type: 'string' },
      tables: { type: 'string' },
      entities: { type: 'string' },
      out: { type: 'string' },
      only: { type: 'string' },
    },
  });
  const { out, only } = values;
  const fail = (message: string, hint: string): never => {
    throw new ConfigurationError(message, { operation: 'read the options', hint });
  };
  if (out === undefined) return fail('--out is missing.', 'Name the file: --out dataverse-types.ts');
  if (only !== undefined && only !== 'client' && only !== 'mirror') {
    return fail(`--only is neither client nor mirror: ${only}`, 'Leave it out for both.');
  }
  const wanted = tablesReader(values)();
  const { dataverse, sync } = settingsOf(values.dataverse);
  const { url, credential } = dataverse;
  const client = createDataverseClient({ url, credential: createCredential(credential) });
  const { tables, warnings } = await readTables(client, withDefaults(wanted, sync));
  for (const warning of warnings) process.stderr.write(`Warning: ${warning}\n`);
  const text = writeTypes(tables, { url, client: only !== 'mirror', mirror: only !== 'client' });
  if (out === '-') {
    process.stdout.write(text);
    return 0;
  }
  await replace(resolve(out), text);
  process.stderr.write(`${out}: ${plural(tables.length, 'table')}\n`);
  return 0;
}

/** A program that compiles meanwhile sees the old file or the new one. */
async function replace(path: string, text: string): Promise<void> {
  const part = `${path}.new`;
  await withFileErrors('write', path, async () => {
    try {
      await writeFile(part, text);
      await rename(part, path);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  });
}
