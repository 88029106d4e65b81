import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ConfigurationError } from '../../errors.ts';
import { makeFolder } from './make-folder.ts';

/** A folder that this process has locked. */
export interface DataFolder {
  path: string;
  release(): void;
}

/**
 * Creates the folder, checks that it is writable, and locks it until it is released. The lock is SQLite's lock on the
 * file `lock`: the operating system drops it when the process ends, so a killed process leaves no lock behind.
 *
 * @throws ConfigurationError if the folder is not writable or another process has locked it
 */
export async function openDataFolder(path: string): Promise<DataFolder> {
  const details = { operation: 'open the data folder', object: path };
  try {
    await makeFolder(path);
    await writeFile(join(path, 'writable'), '');
    await rm(join(path, 'writable'));
  } catch (cause) {
    throw new ConfigurationError(`The data folder ${path} is not writable: ${(cause as Error).message}`, {
      ...details,
      hint: 'Make the folder writable, or choose another one with --data.',
      cause,
    });
  }
  const lock = new DatabaseSync(join(path, 'lock'));
  try {
    lock.exec('PRAGMA locking_mode=exclusive; BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS held(x); COMMIT');
  } catch (cause) {
    lock.close();
    throw new ConfigurationError(`The data folder ${path} is in use by another process`, {
      ...details,
      hint: 'Stop that process, or choose another folder with --data.',
      cause,
    });
  }
  return { path, release: () => lock.close() };
}
