import { glob, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigurationError, describeError } from '../../errors.ts';

/**
 * Loads all files that `main` of `<appRoot>/package.json` matches (a path or a glob), `index` first, then by name. As
 * on Azure, functions in other files are not registered.
 *
 * @throws ConfigurationError if no file matches, or a file throws while it loads
 */
export async function loadApp(appRoot: string): Promise<void> {
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
      hint: 'Build the app: npm run build.',
    });
  }
  for (const file of files) {
    try {
      await import(pathToFileURL(join(appRoot, file)).href);
    } catch (cause) {
      const { message, hint } = describeError(cause);
      throw new ConfigurationError(`Cannot load ${file}: ${message}`, {
        operation: 'load the function app',
        object: file,
        cause,
        hint,
      });
    }
  }
}

function isIndex(file: string): boolean {
  return /^index\.[cm]?js$/.test(basename(file));
}
