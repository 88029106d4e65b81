import type { BlobClient, ContainerClient } from '@azure/storage-blob';
import { statusOf, storageError } from './errors.ts';

/** One state of the database file. */
export interface PublishedState {
  /** With its quotes, as in the header. */
  etag: string;
  lastModified: Date;
  /** The length of the file. */
  bytes: number;
}

/** The database file as readers see it. It reads parts, so a file of any size needs little memory. */
export class PublishedDatabase {
  readonly #blob: BlobClient;

  constructor(container: ContainerClient, name: string) {
    this.#blob = container.getBlobClient(name);
  }

  /** The name of the blob. */
  get name(): string {
    return this.#blob.name;
  }

  /** The present state, undefined while there is no database. @throws RetriableError */
  async current(): Promise<PublishedState | undefined> {
    try {
      const { etag, lastModified, contentLength } = await this.#blob.getProperties();
      return { etag: etag!, lastModified: lastModified!, bytes: contentLength! };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw storageError(error, 'look up', this.name);
    }
  }

  /**
   * Bytes of one state.
   * @returns undefined if that state is no longer the present one
   * @throws RetriableError
   */
  async read(etag: string, first: number, length: number): Promise<Buffer | undefined> {
    const bytes = Buffer.allocUnsafeSlow(length);
    if (length === 0) return bytes;
    try {
      return await this.#blob.downloadToBuffer(bytes, first, length, {
        blockSize: length,
        conditions: { ifMatch: etag },
      });
    } catch (error) {
      if (statusOf(error) === 412 || statusOf(error) === 404) return undefined;
      throw storageError(error, 'read', this.name);
    }
  }
}
