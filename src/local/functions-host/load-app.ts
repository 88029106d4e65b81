import { glob, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigurationError, describeError } from '../../errors.ts';

/**
 * Loads every file that `main` of `<appRoot>/package.json` names (one path or a glob), `index` first and then
 * by name. What lies outside of `main` is never registered, on Azure as here.
 *
 * @throws ConfigurationError where nothing matches, or a file throws while it loads.
 */
export async function loadApp(appRoot: string): Promise<string[]> {
  const packageFile = join(appRoot, 'package.json');
  let main: unknown;
  try {
    main = (JSON.parse(await readFile(packageFile, 'utf8')) as { main?: unknown }).main;
  } catch (cause) {
    throw new ConfigurationError(`Cannot read ${packageFile}: ${(cause as Error).message}`, { cause });
  }
  if (typeof main !== 'string' || main === '') {
    throw new ConfigurationError(`${packageFile} has no "main"`, {
      object: packageFile,
      hint: 'Set "main" to the built files, for example "dist/{index.js,functions/*.js}".',
    });
  }
  const files: string[] = [];
  for await (const file of glob(main, { cwd: appRoot })) files.push(file);
  files.sort((a, b) => Number(isIndex(b)) - Number(isIndex(a)) || (a < b ? -1 : 1));
  if (files.length === 0) {
    throw new ConfigurationError(`No file matches "main" (${main}) in ${appRoot}`, {
      object: main,
      hint: 'Build the app first: npm run build.',
    });
  }
  for (const file of files) {
    try {
      await import(pathToFileURL(join(appRoot, file)).href);
    } catch (cause) {
      const { message, hint } = describeError(cause);
      throw new ConfigurationError(`${file} could not be loaded: ${message}`, {
        operation: 'load the function app',
        object: file,
        cause,
        ...(hint !== undefined && { hint }),
      });
    }
  }
  return files;
}

function isIndex(file: string): boolean {
  return /^index\.[cm]?js$/.test(basename(file));
}
