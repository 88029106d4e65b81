import type { BlobClient, ContainerClient } from '@azure/storage-blob';
import { RetriableError } from '../../errors.ts';
import { statusOf, storageError } from '../errors.ts';

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
   * Bytes of one state, with one request.
   * @param length at least 1; fewer bytes come if the file ends before
   * @returns undefined if that state is no longer the present one, or ends before the first byte
   * @throws RetriableError
   */
  async read(
    etag: string,
    first: number,
    length: number,
  ): Promise<{ state: PublishedState; content: Buffer } | undefined> {
    try {
      const answer = await this.#blob.download(first, length, { conditions: { ifMatch: etag } });
      const content = Buffer.allocUnsafeSlow(answer.contentLength!);
      let filled = 0;
      for await (const chunk of answer.readableStreamBody!) filled += (chunk as Buffer).copy(content, filled);
      if (filled < content.length) throw this.#cutShort();
      // So the emulator answers a range that begins where the file ends; the service answers 416.
      if (content.length === 0) return undefined;
      // `bytes 0-99/1000`
      const bytes = Number(answer.contentRange?.split('/')[1]);
      return { state: { etag: answer.etag!, lastModified: answer.lastModified!, bytes }, content };
    } catch (error) {
      if ([404, 412, 416].includes(statusOf(error) ?? 0)) return undefined;
      throw storageError(error, 'read', this.name);
    }
  }

  #cutShort(): RetriableError {
    return new RetriableError(`The download of ${this.name} was cut short`, {
      operation: 'read',
      object: this.name,
    });
  }
}
