import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ConfigurationError } from '../../errors.ts';
import { makeFolder } from './make-folder.ts';

/** A folder that this process holds for itself. */
export interface DataFolder {
  path: string;
  release(): void;
}

/**
 * Makes the folder, checks that it can be written, and holds it until released. The lock is SQLite's on the
 * file `lock`, which the operating system drops with the process: a killed one leaves nothing behind.
 *
 * @throws ConfigurationError where the folder cannot be written or another process holds it.
 */
export async function openDataFolder(path: string): Promise<DataFolder> {
  try {
    await makeFolder(path);
    await writeFile(join(path, 'writable'), '');
    await rm(join(path, 'writable'));
  } catch (cause) {
    throw new ConfigurationError(`The data folder ${path} cannot be written: ${(cause as Error).message}`, {
      operation: 'open the data folder',
      object: path,
      hint: 'Make it writable, or choose another with --data DIR.',
      cause,
    });
  }
  const lock = new DatabaseSync(join(path, 'lock'));
  try {
    lock.exec('PRAGMA locking_mode=exclusive; BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS held(x); COMMIT');
  } catch (cause) {
    lock.close();
    throw new ConfigurationError(`The data folder ${path} is in use by another process`, {
      operation: 'open the data folder',
      object: path,
      hint: 'End that process first, or choose another folder with --data DIR.',
      cause,
    });
  }
  return { path, release: () => lock.close() };
}
