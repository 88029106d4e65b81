// The further environments of the app: the file that SYNC_ENVIRONMENTS_FILE names, as docs/environments.md describes it.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { environmentAddress, Problem } from './tools.mjs';

const root = resolve(import.meta.dirname, '../../..');

/** As in src/config/environments. */
const namePattern = /^[a-z](?:[a-z0-9]|-(?=[a-z0-9])){1,19}$/;
const reserved = ['default', 'pages', 'dashboard', 'sync'];

/** An app setting as a value. */
const reference = /^%(\w+)%$/;

/** The path of the file, relative to the folder of host.json; empty if there is none. */
export const environmentsFile = () => process.env['SYNC_ENVIRONMENTS_FILE']?.trim() ?? '';

/** The names that the deployment has resources for. */
export const environmentNames = () =>
  (process.env['SYNC_ENVIRONMENT_NAMES'] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

/**
 * The environments of the file.
 * @returns {[name: string, settings: Record<string, unknown>][]} in their order; none if there is no file
 * @throws Problem if the file cannot be read
 */
export function readEnvironments() {
  const file = environmentsFile();
  if (file === '') return [];
  const faulty = (what) =>
    new Problem(`SYNC_ENVIRONMENTS_FILE is ${file}, ${what}.`, 'See docs/environments.md.');
  let content;
  try {
    const bytes = readFileSync(resolve(root, file));
    // What PowerShell writes begins with this mark; the decoders leave it out.
    const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : 'utf-8';
    content = JSON.parse(new TextDecoder(encoding).decode(bytes));
  } catch (error) {
    // The parser's message quotes the text around the mistake, which may be a secret.
    if (error instanceof SyntaxError) throw faulty('which is not valid JSON');
    throw faulty(`but ${resolve(root, file)} cannot be read (${error.code})`);
  }
  const { environments } = Object(content);
  const isObject = (one) => typeof one === 'object' && one !== null && !Array.isArray(one);
  if (!isObject(environments) || !Object.values(environments).every(isObject))
    throw faulty('which must be an object with "environments", an object of app settings by name');
  return Object.entries(environments);
}

/** @returns {string[]} what is wrong with the environments of a deployment; no value of a setting is shown */
export function wrongEnvironments() {
  const names = environmentNames();
  if (environmentsFile() === '' && names.length > 0) {
    return [
      'SYNC_ENVIRONMENT_NAMES is set, but no file has these environments: azd env set SYNC_ENVIRONMENTS_FILE environments.json',
    ];
  }
  let environments;
  try {
    environments = readEnvironments();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return [`${error.message} ${error.remedy}`];
  }
  return [
    ...environments.flatMap(([name, settings]) => [
      ...wrongName(name),
      ...wrongAddress(name, settings),
      ...wrongContainer(name, settings),
    ]),
    ...wrongNames(
      environments.map(([name]) => name),
      names,
    ),
  ];
}

function wrongName(name) {
  if (namePattern.test(name) && !reserved.includes(name)) return [];
  const rule = `2 to 20 lower-case letters, digits and single hyphens, and begins with a letter; it is not ${reserved.join(', ')}`;
  return [`An environment cannot be called ${JSON.stringify(name.slice(0, 40))}. Its name has ${rule}.`];
}

function wrongAddress(name, settings) {
  const address = String(settings['DATAVERSE_URL'] ?? '').trim();
  if (address === '') return [`The environment ${name} must have a DATAVERSE_URL.`];
  if (reference.test(address)) return [];
  try {
    environmentAddress(address);
    return [];
  } catch (error) {
    return [`The environment ${name}: ${error.message}`];
  }
}

/** In the account of the deployment, the app has roles for the containers that the deployment makes. */
function wrongContainer(name, settings) {
  const own = settings['SYNC_DATABASE_CONTAINER'];
  const isElsewhere = Object.keys(settings).some((setting) => setting.startsWith('SYNC_DATABASE_STORAGE'));
  const usual = `dataverse-${name}`;
  if (own === undefined || isElsewhere || String(own).trim() === usual) return [];
  return [
    `The environment ${name} must not have a SYNC_DATABASE_CONTAINER, which nobody may use. Leave it out: the deployment makes ${usual}.`,
  ];
}

/** Names become a part of resources: a name that only one side has would leave an environment without its containers. */
function wrongNames(inFile, given) {
  const file = environmentsFile();
  const lacks = inFile.filter((name) => !given.includes(name));
  const tooMuch = given.filter((name) => !inFile.includes(name));
  const twice = given.filter((name, i) => given.indexOf(name) !== i);
  const said = [
    ...(lacks.length > 0 ? [`SYNC_ENVIRONMENT_NAMES lacks ${lacks.join(', ')}, which ${file} has.`] : []),
    ...(tooMuch.length > 0 ? [`${file} lacks ${tooMuch.join(', ')}, which SYNC_ENVIRONMENT_NAMES has.`] : []),
    ...(twice.length > 0 ? [`SYNC_ENVIRONMENT_NAMES has ${twice.join(', ')} more than once.`] : []),
  ];
  if (said.length === 0) return [];
  // In quotes: PowerShell would make two values of it.
  return [...said, `To take the names of the file: azd env set SYNC_ENVIRONMENT_NAMES "${inFile.join(',')}"`];
}

/**
 * A setting of an environment, as text.
 * @param {Record<string, unknown>} settings
 * @param {string} name
 * @param {Record<string, unknown>} app the app settings, which a value can refer to
 * @returns {string | undefined} undefined if the environment does not have it, or nobody knows its value
 */
export function settingOf(settings, name, app) {
  const text = settings[name] === undefined ? undefined : String(settings[name]).trim();
  const referred = reference.exec(text ?? '')?.[1];
  if (referred === undefined) return text;
  return Object.hasOwn(app, referred) ? app[referred] : undefined;
}
