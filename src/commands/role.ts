/** `dataverse-sqlite-sync role`: prints or creates the security role of the app in Dataverse. */
import { parseArgs } from 'node:util';
import { noMetricsTable } from '../check/dataverse-checks.ts';
import { SecurityRole } from '../check/security-role.ts';
import { readEntities } from '../config/entities.ts';
import { readMetricsSettings } from '../config/metrics-settings.ts';
import { readSettings } from '../config/settings.ts';
import { createDataverseClient } from '../dataverse/client.ts';
import { createCredential } from '../dataverse/credential.ts';
import { isGuid } from '../dataverse/read/query.ts';
import { ConfigurationError } from '../errors.ts';
import { commandEnvironment } from './command-environment.ts';

/** `azd up` makes the role of this name: infra/hooks/parts/role.mjs. */
const defaultRoleName = 'Dataverse SQLite sync';

export const help = `Prints the least privileges that the app needs in Dataverse: read on every table of entities.json, create, read and
write on the table of campaign metrics, read on definitions; all at organisation level. With --create, makes a security role
of them. Running it again adds what the role lacks and takes nothing away.

  dataverse-sqlite-sync role [--create] [--assign CLIENT_ID] [--name NAME] [--data DIR] [--environment NAME]

  --create       create the role, or add what it lacks; run it as a System Administrator
  --assign       give the role to the application user with this client id
  --name         the name of the role (default: ${defaultRoleName})
  --data         use the Dataverse of the npm start that runs with this data folder
  --environment  work with this environment of environments.json; by default with that of the app settings
  --help

DATAVERSE_URL and the sign-in settings come from environment variables or from local.settings.json; where neither names
an environment or a storage account, from the npm start that is running.`;

/** @returns false if something is left to do */
export async function run(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      create: { type: 'boolean', default: false },
      assign: { type: 'string' },
      name: { type: 'string', default: defaultRoleName },
      data: { type: 'string' },
      environment: { type: 'string' },
    },
  });
  const { create, assign: clientId, name } = values;
  if (clientId !== undefined && !isGuid(clientId)) {
    throw new ConfigurationError(`--assign takes a client id, not "${clientId}".`, {
      hint: 'It looks like 00000000-0000-0000-0000-000000000000: the application id, or that of the managed identity.',
    });
  }
  // This command does not use storage, but readSettings requires it.
  const env = {
    AzureWebJobsStorage: 'UseDevelopmentStorage=true',
    ...commandEnvironment({ data: values.data, environment: values.environment }),
  };
  const { dataverse, entitiesFile } = readSettings(env);
  const credential = createCredential(dataverse.credential);
  const role = new SecurityRole(createDataverseClient({ url: dataverse.url, credential }), name);
  const tables = readEntities(entitiesFile).map((config) => config.name);
  const metricsTable = readMetricsSettings(env).table;
  const { needed, unknown } = await role.privileges(tables, metricsTable);
  const wrong = unknown.filter((table) => table !== metricsTable || !noMetricsTable(table).ok);
  for (const table of unknown) {
    const note = wrong.includes(table)
      ? ''
      : '; if you use campaign metrics, run npm run provision and this again, else remove it from entities.json';
    console.log(`attention: Dataverse has no table ${table}${note}`);
  }
  if (create) {
    const { isNew, added } = await role.create(needed);
    console.log(isNew ? `created the role ${name}` : `The role ${name} exists.`);
    for (const privilege of added) console.log(`added ${privilege} (organization level)`);
    if (added.length === 0) console.log('It has all privileges that the app needs.');
  } else {
    for (const privilege of needed) console.log(`${privilege.name} (organization level)`);
  }
  if (clientId !== undefined) {
    const isChanged = await role.assign(clientId);
    console.log(isChanged ? `assigned it to ${clientId}` : `${clientId} has the role already.`);
  }
  return wrong.length === 0;
}
