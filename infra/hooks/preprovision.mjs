// Runs before `azd provision`: refuses what would be deployed wrongly without a word.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { wrongEnvironments } from './parts/environments.mjs';
import { environmentAddress, Problem, runHook } from './parts/tools.mjs';

const read = (path) => readFileSync(resolve(import.meta.dirname, '..', path), 'utf8');
const variable = (name) => process.env[name]?.trim() ?? '';

/** What azd reads as a value of a type: strconv.ParseInt and strconv.ParseBool of Go. */
const readable = {
  int: { pattern: /^[+-]?\d+$/, what: 'a whole number' },
  bool: { pattern: /^(?:1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/, what: 'true or false' },
};

/**
 * Where the text of a number or a truth value cannot be read, azd takes the parameter's default
 * (github.com/Azure/azure-dev, armParameterFileValue): SYNC_PRIVATE_NETWORK=yes would deploy storage that is open to the
 * public network.
 */
function unreadable() {
  const { parameters } = JSON.parse(read('main.parameters.json'));
  return [...read('main.bicep').matchAll(/^param (\w+) (int|bool)\b/gm)].flatMap(([, parameter, type]) => {
    const name = parameters[parameter].value.slice(2, -1);
    const text = process.env[name] ?? '';
    const { pattern, what } = readable[type];
    return text === '' || pattern.test(text) ? [] : [`${name} must be ${what}, not "${text}".`];
  });
}

function wrongAddress() {
  const address = variable('DATAVERSE_URL');
  // azd asks for it.
  if (address === '') return [];
  try {
    environmentAddress(address);
    return [];
  } catch (error) {
    return [`${error.message} An example: https://contoso.crm.dynamics.com`];
  }
}

function tooLongImmutable() {
  const kept = 'SYNC_DATABASE_RETENTION_DAYS';
  const usual = /^param databaseRetentionDays int = (\d+)/m.exec(read('main.bicep'))[1];
  const days = variable(kept) || usual;
  const immutable = variable('SYNC_DATABASE_IMMUTABILITY_DAYS');
  return Number(immutable) > Number(days)
    ? [`SYNC_DATABASE_IMMUTABILITY_DAYS must be at most ${days}, which is ${kept}, not ${immutable}.`]
    : [];
}

const ofClientSecret =
  'SYNC_CLIENT_SECRET_APPLICATION_ID, and a secret in the key vault (docs/deployment.md, "Client secret")';

/** App settings that follow a parameter, on which other parts of the deployment depend, with what to set instead. */
const ownParameters = {
  DATAVERSE_URL: 'DATAVERSE_URL',
  DATAVERSE_CLIENT_ID: 'SYNC_CLIENT_SECRET_APPLICATION_ID',
  DATAVERSE_TENANT_ID: 'SYNC_CLIENT_SECRET_TENANT_ID',
  DATAVERSE_CLIENT_SECRET: ofClientSecret,
  SYNC_SCHEDULE: 'SYNC_SCHEDULE',
  SYNC_ENTITIES_FILE: 'SYNC_ENTITIES_FILE',
  SYNC_ENVIRONMENTS_FILE: 'SYNC_ENVIRONMENTS_FILE',
};

/** No value is shown: it may be a secret. */
function wrongSettings() {
  const text = variable('SYNC_EXTRA_SETTINGS');
  if (text === '') return [];
  let settings;
  try {
    settings = JSON.parse(text);
  } catch {
    settings = undefined;
  }
  const isObject = typeof settings === 'object' && settings !== null && !Array.isArray(settings);
  if (!isObject) return ['SYNC_EXTRA_SETTINGS must be a JSON object, such as {"SYNC_VERIFY_HOURS":"12"}.'];
  return Object.entries(settings).flatMap(([name, value]) => {
    // Another letter case is a mistake, too.
    const instead = ownParameters[name.toUpperCase()];
    if (instead !== undefined) return [`SYNC_EXTRA_SETTINGS must not hold ${name}: set ${instead} instead.`];
    return typeof value === 'string' ? [] : [`${name} in SYNC_EXTRA_SETTINGS must be text in quotes.`];
  });
}

await runHook(async () => {
  const faults = [
    ...wrongAddress(),
    ...unreadable(),
    ...tooLongImmutable(),
    ...wrongSettings(),
    ...wrongEnvironments(),
  ];
  if (faults.length > 0) throw new Problem(faults.join('\n'), 'Correct it with `azd env set`.');
});
