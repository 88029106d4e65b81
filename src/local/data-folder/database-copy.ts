import { copyFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BlobClient } from '@azure/storage-blob';
import { ConfigurationError } from '../../errors.ts';
import { makeFolder } from './make-folder.ts';

/** Keeps files equal to the database blob, replaced as a whole: a reader never sees half of one. */
export class DatabaseCopy {
  readonly #blob: BlobClient;
  readonly #files: readonly string[];
  #etag: string | undefined;
  #bytes = 0;

  constructor(blob: BlobClient, files: readonly string[]) {
    this.#blob = blob;
    this.#files = files;
  }

  /** The size of the database in bytes, 0 while there is none. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Copies the blob where it changed since the last copy.
   *
   * @throws ConfigurationError where a file cannot be written.
   */
  async update(): Promise<void> {
    const properties = await this.#blob.getProperties().catch((error: { statusCode?: number }) => {
      if (error.statusCode === 404) return undefined;
      throw error;
    });
    if (properties === undefined || properties.etag === this.#etag) return;
    const conditions = properties.etag === undefined ? {} : { conditions: { ifMatch: properties.etag } };
    const [first, ...others] = this.#files;
    await replace(first!, async (file) => {
      await this.#blob.downloadToFile(file, 0, undefined, conditions);
    });
    for (const other of others) await replace(other, (file) => copyFile(first!, file));
    this.#etag = properties.etag;
    this.#bytes = properties.contentLength ?? 0;
  }
}

/** Writes beside the file, then renames: whoever has the old one open keeps it. */
async function replace(file: string, write: (file: string) => Promise<void>): Promise<void> {
  const beside = `${file}.new`;
  try {
    await makeFolder(dirname(file));
    await write(beside);
    await rename(beside, file);
  } catch (cause) {
    await rm(beside, { force: true });
    if ((cause as NodeJS.ErrnoException).syscall === undefined) throw cause;
    throw new ConfigurationError(`Cannot write ${file}: ${(cause as Error).message}`, {
      operation: 'copy the database',
      object: file,
      hint: 'Choose a file in a folder that can be written.',
      cause,
    });
  }
}
