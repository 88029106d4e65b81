import { copyFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BlobClient } from '@azure/storage-blob';
import { ConfigurationError } from '../../errors.ts';
import { makeFolder } from './make-folder.ts';

/** Copies the database blob to files. Each file is replaced atomically, so a reader never sees a partial copy. */
export class DatabaseCopy {
  readonly #blob: BlobClient;
  readonly #files: readonly string[];
  #etag: string | undefined;
  #bytes = 0;

  constructor(blob: BlobClient, files: readonly string[]) {
    this.#blob = blob;
    this.#files = files;
  }

  /** The size of the last copy in bytes, 0 before the first. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Copies the blob if it changed since the last copy. Does nothing while there is no blob.
   *
   * @throws ConfigurationError if a file cannot be written
   */
  async update(): Promise<void> {
    const properties = await this.#blob.getProperties().catch((error: { statusCode?: number }) => {
      if (error.statusCode === 404) return undefined;
      throw error;
    });
    if (properties === undefined || properties.etag === this.#etag) return;
    const conditions = { ifMatch: properties.etag };
    const [first, ...others] = this.#files;
    await replace(first!, async (file) => {
      await this.#blob.downloadToFile(file, 0, undefined, { conditions });
    });
    for (const other of others) await replace(other, (file) => copyFile(first!, file));
    this.#etag = properties.etag;
    this.#bytes = properties.contentLength ?? 0;
  }
}

/** Writes a new file beside the old one, then renames it: a process that has the old file open keeps it. */
async function replace(file: string, write: (file: string) => Promise<void>): Promise<void> {
  const newFile = `${file}.new`;
  try {
    await makeFolder(dirname(file));
    await write(newFile);
    await rename(newFile, file);
  } catch (cause) {
    await rm(newFile, { force: true });
    if ((cause as NodeJS.ErrnoException).syscall === undefined) throw cause;
    throw new ConfigurationError(`Cannot write ${file}: ${(cause as Error).message}`, {
      operation: 'copy the database',
      object: file,
      hint: 'Choose a file in a writable folder.',
      cause,
    });
  }
}
