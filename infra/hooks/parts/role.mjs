// The security role of the app in Dataverse, made by `npm run role` with the deployer's own rights.
import { resolve } from 'node:path';
import { execute, Problem } from './tools.mjs';

const root = resolve(import.meta.dirname, '../../..');
const isWindows = process.platform === 'win32';

/**
 * The settings of the deployment that the role depends on; those of infra/main.bicep.
 * @returns {Record<string, string>}
 */
export function deployedSettings() {
  const text = process.env['SYNC_EXTRA_SETTINGS']?.trim() || '{}';
  let extra;
  try {
    extra = JSON.parse(text);
  } catch {
    throw new Problem('SYNC_EXTRA_SETTINGS is not valid JSON.', 'Correct it with `azd env set`.');
  }
  return { ...extra, SYNC_ENTITIES_FILE: process.env['SYNC_ENTITIES_FILE']?.trim() || 'entities.json' };
}

const nameOption = () => {
  const name = process.env['SYNC_DATAVERSE_ROLE']?.trim();
  return name ? ['--name', name] : [];
};

/** `azd provision` runs without the hook that makes the package. What was built before may be out of date. */
async function buildCommand() {
  const build = await execute('npm', ['run', '-s', 'build'], { cwd: root, shell: isWindows });
  if (build.status === 0) return;
  throw new Problem(
    `The command npm run role cannot be built: ${build.output.split('\n')[0]}`,
    'Run `npm ci`, then `azd hooks run postprovision`.',
  );
}

let built;

/**
 * Makes the role with the privileges for the tables of an environment, or adds what it lacks, and assigns it.
 * @param {{ url: string, token: string, applicationId: string, settings: Record<string, string> }} options
 * @returns {Promise<string>} what was done, in lines
 */
export async function giveRole({ url, token, applicationId, settings }) {
  built ??= buildCommand();
  await built;
  const role = await execute(
    process.execPath,
    [resolve(root, 'dist/cli/main.js'), 'role', '--create', '--assign', applicationId, ...nameOption()],
    {
      // A local.settings.json in the checkout is for other environments.
      cwd: import.meta.dirname,
      env: {
        ...process.env,
        ...settings,
        SYNC_ENTITIES_FILE: resolve(root, settings.SYNC_ENTITIES_FILE),
        DATAVERSE_URL: url,
        // Not an argument, which others could see in the list of processes.
        DATAVERSE_ACCESS_TOKEN: token,
      },
    },
  );
  if (role.status === 0) return role.output;
  throw new Problem(role.output, 'Do what it says, then run `azd hooks run postprovision`.');
}

/**
 * The command that a person runs instead, in a checkout of the project.
 * @param {{ url: string, applicationId: string, settings: Record<string, string> }} options
 */
export function roleCommand({ url, applicationId, settings }) {
  const values = { DATAVERSE_URL: url, SYNC_ENTITIES_FILE: settings.SYNC_ENTITIES_FILE };
  if (values.SYNC_ENTITIES_FILE === 'entities.json') delete values.SYNC_ENTITIES_FILE;
  const [, name] = nameOption();
  const quoted = (text) => `'${text.replaceAll("'", isWindows ? "''" : "'\\''")}'`;
  const variables = Object.entries(values).map(([key, text]) =>
    isWindows ? `$env:${key} = ${quoted(text)};` : `${key}=${/^[\w./:-]+$/.test(text) ? text : quoted(text)}`,
  );
  const options = name === undefined ? '' : ` --name ${quoted(name)}`;
  return `${variables.join(' ')} npm run role -- --create --assign ${applicationId}${options}`;
}
