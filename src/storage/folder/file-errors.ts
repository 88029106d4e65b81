import { ConfigurationError, SyncError } from '../../errors.ts';

/** The system's code of an error, such as ENOENT. */
export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

/** What a person can do about an error of the file system. */
const hints: Readonly<Record<string, string>> = {
  EACCES: 'Allow this user to read and write there, or choose another file.',
  EBUSY: 'Close the program that has the file open.',
  EDQUOT: 'Free space on the disk, or choose a file on another one.',
  EISDIR: 'Choose the name of a file, not of a folder.',
  ENOENT: 'Create the folder, or choose another file.',
  ENOSPC: 'Free space on the disk, or choose a file on another one.',
  ENOTDIR: 'Choose a file in a folder.',
  EPERM: 'Close programs that have the file open, and allow this user to write there.',
  EROFS: 'Choose a file on a disk that can be written to.',
};

/**
 * Runs `work`, and gives its errors of the file system a message that names the file.
 * @throws ConfigurationError where a person has to act
 */
export async function withFileErrors<T>(operation: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const code = codeOf(cause);
    if (cause instanceof SyncError || code === undefined) throw cause;
    throw new ConfigurationError(`Cannot ${operation} ${path}: ${code}.`, {
      operation,
      object: path,
      hint: hints[code] ?? 'Check the disk and the permissions.',
      cause,
    });
  }
}
