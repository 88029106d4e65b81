import { chmod, lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ConfigurationError } from '../../errors.ts';
import { makeFolder } from './make-folder.ts';
import { isLink, privateFile, privateFolder, replaceText } from './private-file.ts';

/** A folder that this process has locked. */
export interface DataFolder {
  path: string;
  /** What the user should know about it. */
  warnings: string[];
  release(): void;
}

/** What `npm start` keeps in a data folder. */
const ownNames = new Set([
  ...['lock', 'local.json', 'local.json~', 'running.json', 'functions.log', 'entities.json', 'writable'],
  ...['__blobstorage__', '__queuestorage__', 'environments', 'environments.json'],
]);
/** `dataverse.db`, and the databases that entities.json names. */
const database = /^[a-z0-9-]+\.db(?:\.new)?$/;
const isOwn = (name: string): boolean =>
  ownNames.has(name) ||
  database.test(name) ||
  name.startsWith('__azurite_db_') ||
  (name.startsWith('.') && name.endsWith('.new'));

/** What systems put into empty folders. */
const ignored = new Set(['lost+found', '.DS_Store', '.gitignore', '.gitkeep']);

/**
 * Creates the folder, or takes an existing one, so that no other user of the machine can read what it holds: rows of
 * Dataverse and keys. Locks it until it is released. The lock is SQLite's lock on the file `lock`: the operating system
 * drops it when the process ends, so a killed process leaves no lock behind.
 *
 * @throws ConfigurationError if the folder is not writable, contains a symbolic link, or another process has locked it
 */
export async function openDataFolder(path: string): Promise<DataFolder> {
  const warnings: string[] = [];
  try {
    await makeFolder(path, privateFolder);
    const names = (await readdir(path)).filter((name) => !ignored.has(name));
    // A folder that has other contents stays as its owner wants it: only what is written into it is private.
    if (names.every(isOwn) && !(await restrict(path, privateFolder))) {
      warnings.push(`Other users of this machine may read the data folder ${path}.`);
    }
    // They could place links there, which lead writes elsewhere.
    if (await isWritableByOthers(path)) {
      warnings.push(`Other users of this machine may write to the data folder ${path}.`);
    }
    await replaceText(join(path, 'writable'), '');
  } catch (cause) {
    throw new ConfigurationError(`The data folder ${path} is not writable: ${(cause as Error).message}`, {
      operation: 'open the data folder',
      object: path,
      hint: 'Make the folder writable, or choose another one with --data.',
      cause,
    });
  }
  const lock = await lockFolder(path);
  try {
    for (const name of (await readdir(path)).filter(isOwn)) await makePrivate(path, name);
  } catch (error) {
    lock.close();
    throw error;
  }
  return { path, warnings, release: () => lock.close() };
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
 * Takes the permissions of all others from what earlier versions left. A link that was placed before the folder was
 * private could lead a write elsewhere.
 */
async function makePrivate(folder: string, name: string): Promise<void> {
  const path = join(folder, name);
  const found = await lstat(path);
  if (found.isSymbolicLink()) throw linkError(folder, path);
  await restrict(path, found.isDirectory() ? privateFolder : privateFile);
  if (!found.isDirectory()) return;
  for (const inner of await readdir(path)) await makePrivate(path, inner);
}

/**
 * Takes the permissions of all others. Some file systems have none, and those of a mounted volume may not allow it.
 * @returns whether others have none now
 */
async function restrict(path: string, mode: number): Promise<boolean> {
  try {
    await chmod(path, mode);
  } catch (error) {
    if (
      !['EPERM', 'EACCES', 'ENOTSUP', 'ENOSYS', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')
    ) {
      throw error;
    }
  }
  return process.platform === 'win32' || ((await stat(path)).mode & 0o007) === 0;
}

async function isWritableByOthers(path: string): Promise<boolean> {
  return process.platform !== 'win32' && ((await stat(path)).mode & 0o002) !== 0;
}

function linkError(folder: string, link: string): ConfigurationError {
  return new ConfigurationError(`The data folder ${folder} contains the symbolic link ${link}`, {
    operation: 'open the data folder',
    object: link,
    hint: 'Delete the link, or choose another folder with --data.',
  });
}
