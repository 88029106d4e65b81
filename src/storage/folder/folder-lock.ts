import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ConfigurationError } from '../../errors.ts';

/**
 * Locks a folder until it is released. The lock is SQLite's lock on the file `lock`: the operating system drops it when the
 * process ends, so a killed process leaves no lock behind.
 * @param folder is created
 * @param what the folder belongs to, for the message
 * @throws ConfigurationError if another process has locked it, or it cannot be written to
 */
export async function lockFolder(folder: string, what: string): Promise<{ release(): void }> {
  const fail = (message: string, hint: string, cause: unknown): ConfigurationError =>
    new ConfigurationError(message, { operation: 'lock', object: what, hint, cause });
  let lock: DatabaseSync;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    lock = new DatabaseSync(join(folder, 'lock'));
  } catch (cause) {
    const hint = 'Make the folder writable, or choose another file.';
    throw fail(`Cannot write to ${folder}: ${(cause as Error).message}`, hint, cause);
  }
  try {
    lock.exec('PRAGMA locking_mode=exclusive; BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS held(x); COMMIT');
  } catch (cause) {
    lock.close();
    // sqlite.org: Result and Error Codes, SQLITE_BUSY.
    const isBusy = ((cause as { errcode?: number }).errcode ?? 0) % 256 === 5;
    if (isBusy)
      throw fail(`${what} is in use by another process.`, 'Wait until it has ended, or stop it.', cause);
    const hint = `Check the disk. Should ${join(folder, 'lock')} be damaged, delete it.`;
    throw fail(`Cannot lock ${folder}: ${(cause as Error).message}`, hint, cause);
  }
  return { release: () => lock.close() };
}
