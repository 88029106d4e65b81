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

  /** The file for the user. */
  get file(): string {
    return this.#files.at(-1)!;
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

/** The copies of all databases: the default one first. */
export class DatabaseCopies {
  readonly all: DatabaseCopy[];
  readonly #make: (name: string | undefined) => DatabaseCopy;
  readonly #names: Set<string>;

  /** @param make for a database that entities.json names; undefined for the default one */
  constructor(defaultName: string, make: (name: string | undefined) => DatabaseCopy) {
    this.#make = make;
    this.#names = new Set([defaultName]);
    this.all = [make(undefined)];
  }

  /**
   * Copies those that changed.
   * @param run the latest one, which names the databases
   */
  async update({ databases = {} }: { databases?: Record<string, unknown> }): Promise<void> {
    for (const name of Object.keys(databases)) {
      if (this.#names.has(name)) continue;
      this.#names.add(name);
      this.all.push(this.#make(name));
    }
    for (const copy of this.all) await copy.update();
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
