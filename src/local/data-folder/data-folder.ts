import { chmod, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ConfigurationError } from '../../errors.ts';
import { makeFolder } from './make-folder.ts';
import { isLink, privateFile, privateFolder, replaceText } from './private-file.ts';

/** A folder that this process has locked. */
export interface DataFolder {
  path: string;
  release(): void;
}

/**
 * Creates the folder, or takes an existing one, so that no other user of the machine can read what it holds: rows of
 * Dataverse and keys. Locks it until it is released. The lock is SQLite's lock on the file `lock`: the operating system
 * drops it when the process ends, so a killed process leaves no lock behind.
 *
 * @throws ConfigurationError if the folder belongs to another user, is not writable, contains a symbolic link, or
 * another process has locked it
 */
export async function openDataFolder(path: string): Promise<DataFolder> {
  try {
    await makeFolder(path, privateFolder);
    // From now on, nobody else can place a link in the folder.
    await chmod(path, privateFolder);
    await replaceText(join(path, 'writable'), '');
  } catch (cause) {
    throw new ConfigurationError(`The data folder ${path} is not writable: ${(cause as Error).message}`, {
      operation: 'open the data folder',
      object: path,
      hint: 'Make it a folder that you own, or choose another one with --data.',
      cause,
    });
  }
  const lock = await lockFolder(path);
  try {
    await makePrivate(path);
  } catch (error) {
    lock.close();
    throw error;
  }
  return { path, release: () => lock.close() };
}

async function lockFolder(path: string): Promise<DatabaseSync> {
  const file = join(path, 'lock');
  if (await isLink(file)) throw linkError(path, file);
  const lock = new DatabaseSync(file);
  try {
    lock.exec('PRAGMA locking_mode=exclusive; BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS held(x); COMMIT');
    return lock;
  } catch (cause) {
    lock.close();
    throw new ConfigurationError(`The data folder ${path} is in use by another process`, {
      operation: 'open the data folder',
      object: path,
      hint: 'Stop that process, or choose another folder with --data.',
      cause,
    });
  }
}

/**
 * Takes the permissions of all others from the files of earlier versions. A link that was placed before the folder was
 * private could lead a write elsewhere.
 */
async function makePrivate(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink()) throw linkError(folder, path);
    await chmod(path, entry.isDirectory() ? privateFolder : privateFile);
  }
}

function linkError(folder: string, link: string): ConfigurationError {
  return new ConfigurationError(`The data folder ${folder} contains the symbolic link ${link}`, {
    operation: 'open the data folder',
    object: link,
    hint: 'Delete the link, or choose another folder with --data.',
  });
}
