import { readlink, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ConfigurationError } from '../errors.ts';
import { codeOf } from '../storage/folder/file-errors.ts';

/** As many as Linux follows (man7.org: path_resolution). */
const maxLinks = 40;

/**
 * The path of the file that symbolic links lead to, also if that file does not exist yet: a new file belongs there, and the
 * link stays one.
 * @throws ConfigurationError if the links lead in a circle
 */
export async function linkTarget(path: string): Promise<string> {
  let target = path;
  for (let links = 0; links <= maxLinks; links++) {
    try {
      return await realpath(target);
    } catch (error) {
      if (codeOf(error) === 'ELOOP') break;
      const next = await readlink(target).catch(() => undefined);
      if (next === undefined) return target;
      // The system resolves a relative link from the folder that holds it, which links may lead to as well.
      const folder = dirname(target);
      target = resolve(await realpath(folder).catch(() => folder), next);
    }
  }
  throw new ConfigurationError(`The symbolic link ${path} leads to itself.`, {
    operation: 'open the database',
    object: path,
    hint: 'Remove the link, or choose another file.',
  });
}
