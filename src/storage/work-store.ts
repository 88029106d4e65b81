import { randomUUID } from 'node:crypto';
import type { ContainerClient } from '@azure/storage-blob';
import { ConflictError, RetriableError, SyncError } from '../errors.ts';
import type { DocumentStore } from './document-store.ts';
import { eachOf } from './each-of.ts';
import { inContainer, statusOf, storageError } from './errors.ts';

/**
 * Small JSON documents and shards in one container, with the two primitives that everything concurrent is
 * made of: create if absent, and replace if unchanged. The container is created when it is first missed.
 */
export class WorkStore implements DocumentStore {
  readonly #container: ContainerClient;

  constructor(container: ContainerClient) {
    this.#container = container;
  }

  /** Creates the document and returns true; returns false where there is one already. */
  async createIfAbsent(name: string, value: unknown): Promise<boolean> {
    try {
      await this.#put(name, value, { ifNoneMatch: '*' });
      return true;
    } catch (error) {
      if (error instanceof ConflictError) return false;
      throw error;
    }
  }

  /** Writes the document whatever stands there: for notes that nobody decides by. */
  async put(name: string, value: unknown): Promise<void> {
    await this.#put(name, value, {});
  }

  /** The document and its ETag, or undefined. */
  async read<T>(name: string): Promise<{ value: T; etag: string } | undefined> {
    const found = await this.#download(name);
    if (found === undefined) return undefined;
    try {
      return { value: JSON.parse(found.bytes.toString()) as T, etag: found.etag };
    } catch {
      // The parser's message would quote the content.
      throw new SyncError(`${name} is not JSON`, {
        operation: 'read',
        object: name,
        hint: 'something else wrote it; delete it',
      });
    }
  }

  /**
   * Replaces the document if it still has this ETag; returns the new one.
   * @throws ConflictError where it was changed or deleted
   */
  async replaceIfUnchanged(name: string, value: unknown, etag: string): Promise<string> {
    return await this.#put(name, value, { ifMatch: etag });
  }

  /**
   * Deletes the document if it still has this ETag. Returns false where it was gone already.
   * @throws ConflictError where it was changed
   */
  async deleteIfUnchanged(name: string, etag: string): Promise<boolean> {
    try {
      await this.#container.deleteBlob(name, { conditions: { ifMatch: etag } });
      return true;
    } catch (error) {
      // Of a blob that is gone, the service may also say that its condition is not met.
      if (statusOf(error) === 404 || (statusOf(error) === 412 && !(await this.#exists(name)))) return false;
      throw storageError(error, 'delete', name);
    }
  }

  /** Stores bytes under a name that nobody else uses. */
  async putBytes(name: string, bytes: Uint8Array): Promise<void> {
    const blob = this.#container.getBlockBlobClient(name);
    try {
      await inContainer(this.#container, () =>
        blob.uploadData(bytes, {
          maxSingleShotSize: 32 * 1024 * 1024,
          blockSize: 8 * 1024 * 1024,
          concurrency: 4,
          blobHTTPHeaders: { blobContentType: 'application/octet-stream' },
        }),
      );
    } catch (error) {
      throw storageError(error, 'write', name);
    }
  }

  /** Writes a text for people, whatever stands there. */
  async putText(name: string, text: string, contentType: string): Promise<void> {
    const blob = this.#container.getBlockBlobClient(name);
    const body = Buffer.from(text);
    try {
      await inContainer(this.#container, () =>
        blob.upload(body, body.length, { blobHTTPHeaders: { blobContentType: contentType } }),
      );
    } catch (error) {
      throw storageError(error, 'write', name);
    }
  }

  async getBytes(name: string): Promise<Buffer | undefined> {
    return (await this.#download(name))?.bytes;
  }

  /** What stands under a prefix, in the order of the names. */
  async *list(prefix: string): AsyncGenerator<{ name: string; lastModified: Date }> {
    try {
      for await (const blob of this.#container.listBlobsFlat({ prefix })) {
        yield { name: blob.name, lastModified: blob.properties.lastModified };
      }
    } catch (error) {
      if (statusOf(error) !== 404) throw storageError(error, 'list', prefix);
    }
  }

  /** Deletes all that stands under a prefix; returns how many that were. */
  async deletePrefix(prefix: string): Promise<number> {
    let deleted = 0;
    await eachOf(this.list(prefix), 8, async ({ name }) => {
      try {
        const { succeeded } = await this.#container.getBlobClient(name).deleteIfExists();
        if (succeeded) deleted += 1;
      } catch (error) {
        throw storageError(error, 'delete', name);
      }
    });
    return deleted;
  }

  async #exists(name: string): Promise<boolean> {
    try {
      return await this.#container.getBlobClient(name).exists();
    } catch (error) {
      throw storageError(error, 'look for', name);
    }
  }

  async #put(
    name: string,
    value: unknown,
    conditions: { ifMatch?: string; ifNoneMatch?: string },
  ): Promise<string> {
    const blob = this.#container.getBlockBlobClient(name);
    const body = Buffer.from(JSON.stringify(value));
    const writing = randomUUID();
    try {
      const { etag } = await inContainer(this.#container, () =>
        blob.upload(body, body.length, {
          conditions,
          blobHTTPHeaders: { blobContentType: 'application/json' },
          metadata: { writing },
        }),
      );
      return etag!;
    } catch (error) {
      if (conditions.ifMatch !== undefined && statusOf(error) === 404) {
        throw new ConflictError(`cannot replace ${name}: it is gone`, { operation: 'write', object: name });
      }
      const known = storageError(error, 'write', name);
      // The answer may get lost; the client's second try then meets what the first one wrote.
      if (known instanceof ConflictError) {
        const now = await blob.getProperties().catch(() => undefined);
        if (now?.metadata?.['writing'] === writing) return now.etag!;
      }
      throw known;
    }
  }

  async #download(name: string): Promise<{ bytes: Buffer; etag: string } | undefined> {
    try {
      const response = await this.#container.getBlobClient(name).download();
      const bytes = Buffer.allocUnsafeSlow(response.contentLength!);
      let length = 0;
      for await (const chunk of response.readableStreamBody!) {
        length += (chunk as Buffer).copy(bytes, length);
      }
      if (length < bytes.length) {
        throw new RetriableError(`the download of ${name} was cut short`, {
          operation: 'read',
          object: name,
        });
      }
      return { bytes, etag: response.etag! };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw storageError(error, 'read', name);
    }
  }
}
