import { statSync } from 'node:fs';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { readTextFile } from '../../src/config/read-text.ts';

/** A file of the configuration cannot be packed. The message says which, and what to do. */
export class ConfigurationFileError extends Error {
  override name = 'ConfigurationFileError';
}

/**
 * The files of the configuration that the app reads from its package: the list of tables, and the further environments with
 * their own lists. What else is wrong with them, the app says itself.
 * @param env `SYNC_ENTITIES_FILE` and `SYNC_ENVIRONMENTS_FILE`
 * @returns their paths, relative to `root`
 * @throws ConfigurationFileError if one does not exist, is outside of `root`, or does not say which files it needs
 */
export function configurationFiles(root: string, env: Record<string, string | undefined>): string[] {
  const of = (name: string) => env[name]?.trim() || undefined;
  const entities = of('SYNC_ENTITIES_FILE');
  const environments = of('SYNC_ENVIRONMENTS_FILE');
  const tables = entities === undefined ? 'entities.json' : packedFile(root, 'SYNC_ENTITIES_FILE', entities);
  if (environments === undefined) return [tables];
  const path = packedFile(root, 'SYNC_ENVIRONMENTS_FILE', environments);
  return [tables, path, ...listsOfTables(root, path)];
}

/** The lists of tables that environments have of their own. */
function listsOfTables(root: string, path: string): string[] {
  return Object.entries(environmentsIn(join(root, path))).flatMap(([name, settings]) => {
    const given = (settings as Record<string, unknown> | null)?.['SYNC_ENTITIES_FILE'];
    const list = typeof given === 'string' ? given.trim() : '';
    if (list === '') return [];
    const setting = `SYNC_ENTITIES_FILE of the environment ${name}`;
    if (/^%\w+%$/.test(list)) {
      throw new ConfigurationFileError(
        `${setting} is ${list}, an app setting that the package cannot know. Write the path itself into ${path}.`,
      );
    }
    return [packedFile(root, setting, list)];
  });
}

function environmentsIn(path: string): object {
  let content: { environments?: unknown } | null;
  try {
    content = JSON.parse(readTextFile(path)) as typeof content;
  } catch {
    // The parser's message quotes the text around the mistake, which may be a secret.
    throw new ConfigurationFileError(
      `SYNC_ENVIRONMENTS_FILE: ${path} is not valid JSON. docs/environments.md shows an example.`,
    );
  }
  const environments = content?.environments;
  if (typeof environments === 'object' && environments !== null) return environments;
  throw new ConfigurationFileError(
    `SYNC_ENVIRONMENTS_FILE: ${path} must be an object with "environments". docs/environments.md shows an example.`,
  );
}

/** @returns the path of a file of the package, relative to `root` */
function packedFile(root: string, setting: string, named: string): string {
  const path = relative(root, resolve(root, named));
  if (isAbsolute(named) || path.split(sep)[0] === '..') {
    throw new ConfigurationFileError(
      `${setting} is ${named}, which is outside of the package. Name a file in the folder of host.json, with a relative path.`,
    );
  }
  if (!statSync(join(root, path), { throwIfNoEntry: false })?.isFile()) {
    throw new ConfigurationFileError(
      `${setting} is ${named}, but ${join(root, path)} is not a file. Create it, or change ${setting}.`,
    );
  }
  return path;
}
