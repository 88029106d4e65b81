import { randomBytes } from 'node:crypto';
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Only the owner reads and writes. */
export const privateFile = 0o600;
export const privateFolder = 0o700;

/**
 * Replaces a file atomically with one that only its owner can read: a process that has the old file open keeps it, and a
 * reader never sees a partial one. The new file is created under a random name and only if nothing has this name, so no
 * symbolic link is followed. A link in the place of `file` is replaced, and its target stays as it is.
 *
 * @param write fills the new file
 */
export async function replaceFile(file: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const newFile = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString('hex')}.new`);
  const handle = await open(newFile, 'wx', privateFile);
  try {
    await write(handle);
    await handle.close();
    await rename(newFile, file);
  } catch (error) {
    // A stream may have closed it.
    await handle.close().catch(() => undefined);
    await rm(newFile, { force: true });
    throw error;
  }
}

/** `replaceFile` with a text. */
export function replaceText(file: string, text: string): Promise<void> {
  return replaceFile(file, (handle) => handle.writeFile(text));
}

/** Whether there is a symbolic link at this path, whatever it points to. */
export async function isLink(path: string): Promise<boolean> {
  return lstat(path).then(
    (found) => found.isSymbolicLink(),
    () => false,
  );
}
