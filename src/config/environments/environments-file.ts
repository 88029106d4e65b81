import * as z from 'zod';
import { ConfigurationError } from '../../errors.ts';
import { metricsSettingNames } from '../metrics-settings.ts';
import { postgresAddress } from '../postgres/postgres-address.ts';
import { readTextFile } from '../read-text.ts';
import { settingNames } from '../settings.ts';
import type { AppSettings } from './environment.ts';
import { isEnvironmentName } from './environment-name.ts';
import { repeatedNames } from './repeated-names.ts';

/** Settings of the app as a whole: its account for queues, its sign-in, this file. */
const ofTheApp = /^(?:AzureWebJobsStorage|WEBSITE_|DASHBOARD_AUTH$|SYNC_ENVIRONMENTS_FILE$)/;

/** The app settings that an environment can have of its own. */
export const environmentSettingNames: readonly string[] = [
  ...settingNames,
  ...metricsSettingNames,
  'SYNC_SCHEDULE',
].filter((name) => !ofTheApp.test(name));

/** Never written in the file, which is deployed with the code. */
const secrets = ['DATAVERSE_CLIENT_SECRET', 'DATAVERSE_ACCESS_TOKEN'];

/** The whole value is the name of an app setting between two percent signs, as in bindings of functions. */
const reference = /^%(\w+)%$/;

const value = z.union([z.string(), z.number(), z.boolean()], 'must be a text, a number, or true or false');

/** The shape of environments.json. */
const environmentsFile = z.strictObject({
  $schema: z.string().optional(),
  environments: z
    .record(
      z.string(),
      z.strictObject(Object.fromEntries(environmentSettingNames.map((name) => [name, value.optional()]))),
    )
    .describe(
      'By name: what an environment has instead of the app settings. The name of an app setting between two percent signs stands for its value.',
    ),
});

/** An environment as the file has it. */
export interface ConfiguredEnvironment {
  name: string;
  /** Its own settings, with references resolved. */
  own: Record<string, string>;
}

/** What the file says. The environments in it are sound as far as each can be looked at alone. */
export interface EnvironmentsFile {
  environments: ConfiguredEnvironment[];
  /** Sentences about environments that are left out. They quote no value. */
  faults: string[];
}

/**
 * Reads environments.json. An environment with a fault is left out, the others stay.
 * @param path absolute
 * @param app the app settings, which values can refer to
 * @throws ConfigurationError if the file is missing, not JSON or not of this shape as a whole
 */
export function readEnvironmentsFile(path: string, app: AppSettings): EnvironmentsFile {
  const { content, repeated } = readContent(path);
  const shape = z.strictObject({ $schema: z.unknown(), environments: z.record(z.string(), z.unknown()) });
  const outer = shape.partial({ $schema: true }).safeParse(content);
  if (!outer.success)
    throw invalid(path, 'must be an object with "environments", an object of environments by name');
  const environments: ConfiguredEnvironment[] = [];
  const faults: string[] = [];
  if (repeated.some((names) => names.join() === 'environments'))
    throw invalid(path, 'has "environments" more than once');
  for (const [name, given] of Object.entries(outer.data.environments)) {
    const twice = repeated.find(([, one]) => one === name);
    const found = twice === undefined ? readEnvironment(name, given, app) : saidTwice(twice);
    if (typeof found === 'string') faults.push(`${path}: ${found}.`);
    else environments.push({ name, own: found });
  }
  return { environments, faults };
}

function readContent(path: string): { content: unknown; repeated: string[][] } {
  try {
    const text = readTextFile(path);
    return { content: JSON.parse(text), repeated: repeatedNames(text) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // The parser's message quotes the text around the mistake, which may be a secret.
    if (error instanceof SyntaxError) throw invalid(path, 'is not valid JSON');
    throw invalid(path, code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`);
  }
}

function invalid(path: string, what: string): ConfigurationError {
  return new ConfigurationError(`${path} ${what}.`, {
    operation: 'read the environments',
    object: path,
    hint: 'docs/environments.md shows an example. SYNC_ENVIRONMENTS_FILE names the file.',
  });
}

function saidTwice([, name = '', setting]: string[]): string {
  if (setting === undefined) return `there is more than one environment ${JSON.stringify(name.slice(0, 40))}`;
  return `environment ${name} has ${JSON.stringify(setting.slice(0, 60))} more than once`;
}

/** @returns its settings, or what is wrong */
function readEnvironment(name: string, given: unknown, app: AppSettings): Record<string, string> | string {
  if (!isEnvironmentName(name)) {
    return `an environment cannot be called ${JSON.stringify(name.slice(0, 40))}: a name has 2 to 20 lower-case letters, digits and single hyphens, begins with a letter, and is not default, pages, dashboard or sync`;
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return `environment ${name} must be an object of app settings`;
  }
  const own: Record<string, string> = {};
  for (const [setting, raw] of Object.entries(given)) {
    const parsed = environmentSettingNames.includes(setting) ? value.safeParse(raw) : undefined;
    if (parsed === undefined) {
      return ofTheApp.test(setting)
        ? `environment ${name}: ${setting} is the same for the whole app, so it must be an app setting`
        : `environment ${name}: there is no setting ${JSON.stringify(setting.slice(0, 60))}`;
    }
    if (!parsed.success) return `environment ${name}: ${setting} must be a text, a number, or true or false`;
    const text = String(parsed.data).trim();
    const referred = reference.exec(text)?.[1];
    if (referred === undefined && isSecret(setting, text)) {
      const other = `${name.toUpperCase().replaceAll('-', '_')}_SECRET`;
      return `environment ${name}: ${setting} holds a secret. Put it into an app setting of another name, such as ${other}, and write "%${other}%" here`;
    }
    // Every object has a `constructor`, too, which is no text.
    const found = referred !== undefined && Object.hasOwn(app, referred) ? app[referred]?.trim() : undefined;
    const resolved = referred === undefined ? text : found;
    if (resolved === undefined || (referred !== undefined && resolved === '')) {
      return `environment ${name}: ${setting} refers to the app setting ${referred}, which is not set`;
    }
    own[setting] = resolved;
  }
  return own;
}

function isSecret(setting: string, text: string): boolean {
  if (secrets.includes(setting)) return text !== '';
  // A connection string of a storage account always has a key or a signature.
  if (setting === 'SYNC_DATABASE_STORAGE') return text !== '';
  if (setting !== 'POSTGRES_URL' && setting !== 'POSTGRES_READER_URL') return false;
  try {
    return postgresAddress(text, setting).password !== undefined;
  } catch {
    // What is wrong with it is said where it is read.
    return text.includes('@') && /:\/\/[^/@]*:/.test(text);
  }
}

/** The JSON Schema of environments.json for editors. A test keeps `environments.schema.json` equal to it. */
export function environmentsJsonSchema(): unknown {
  return {
    title: 'environments.json of dataverse-sqlite-sync',
    ...z.toJSONSchema(environmentsFile, { io: 'input' }),
  };
}
