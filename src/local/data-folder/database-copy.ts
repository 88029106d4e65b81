import { createReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { BlobClient } from '@azure/storage-blob';
import { ConfigurationError } from '../../errors.ts';
import { makeFolder } from './make-folder.ts';
import { replaceFile } from './private-file.ts';

/** Copies the database blob to files that only this user can read. Each is replaced as a whole. */
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
    await replace(first!, async (handle) => {
      const { readableStreamBody } = await this.#blob.download(0, undefined, {
        conditions,
        maxRetryRequests: 5,
      });
      await pipeline(readableStreamBody as Readable, handle.createWriteStream());
    });
    for (const other of others) {
      await replace(other, (handle) => pipeline(createReadStream(first!), handle.createWriteStream()));
    }
    this.#etag = properties.etag;
    this.#bytes = properties.contentLength ?? 0;
  }
}

async function replace(file: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  try {
    await makeFolder(dirname(file));
    await replaceFile(file, write);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).syscall === undefined) throw cause;
    throw new ConfigurationError(`Cannot write ${file}: ${(cause as Error).message}`, {
      operation: 'copy the database',
      object: file,
      hint: 'Choose a file in a writable folder.',
      cause,
    });
  }
}
