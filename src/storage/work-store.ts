import { randomUUID } from 'node:crypto';
import type { ContainerClient } from '@azure/storage-blob';
import { ConflictError, RetriableError } from '../errors.ts';
import { DamagedDocumentError, type DocumentStore } from './document-store.ts';
import { inContainer, statusOf, storageError, withStorageErrors } from './errors.ts';
import { forEachConcurrently } from './for-each-concurrently.ts';

/**
 * Small JSON documents and shards in one container. All concurrency control consists of two operations: create if
 * absent, and replace if unchanged. The first write creates the container.
 */
export class WorkStore implements DocumentStore {
  readonly #container: ContainerClient;

  constructor(container: ContainerClient) {
    this.#container = container;
  }

  /** Creates the document and returns its ETag, or returns undefined if it exists. */
  create(name: string, value: unknown): Promise<string | undefined> {
    return this.#create(name, value);
  }

  /** Creates the document and returns true, or returns false if it exists. */
  async createIfAbsent(name: string, value: unknown): Promise<boolean> {
    return (await this.#create(name, value)) !== undefined;
  }

  /** Creates or overwrites the document, without a condition: for documents that decide nothing. */
  async put(name: string, value: unknown): Promise<void> {
    await this.#put(name, value, {});
  }

  /** The document, its ETag and its length in bytes, or undefined. */
  async read<T>(name: string): Promise<{ value: T; etag: string; length: number } | undefined> {
    const found = await this.#download(name);
    if (found === undefined) return undefined;
    try {
      const value = JSON.parse(found.bytes.toString()) as T;
      return { value, etag: found.etag, length: found.bytes.length };
    } catch {
      // The parser's message quotes the content.
      throw new DamagedDocumentError(name, 'is not JSON', found.etag);
    }
  }

  /**
   * Replaces the document if it still has this ETag. Returns the new ETag.
   * @throws ConflictError if it was changed or deleted
   */
  replaceIfUnchanged(name: string, value: unknown, etag: string): Promise<string> {
    return this.#put(name, value, { ifMatch: etag });
  }

  /**
   * Deletes the document if it still has this ETag. Returns false if it did not exist.
   * @throws ConflictError if it was changed
   */
  async deleteIfUnchanged(name: string, etag: string): Promise<boolean> {
    try {
      await this.#container.deleteBlob(name, { conditions: { ifMatch: etag } });
      return true;
    } catch (error) {
      // For a deleted blob the service can also answer that the condition is not met.
      if (statusOf(error) === 404 || (statusOf(error) === 412 && !(await this.exists(name)))) return false;
      throw storageError(error, 'delete', name);
    }
  }

  /** Stores bytes under a name that no other writer uses. */
  async putBytes(name: string, bytes: Uint8Array): Promise<void> {
    const blob = this.#container.getBlockBlobClient(name);
    await this.#write(name, () =>
      blob.uploadData(bytes, {
        maxSingleShotSize: 32 * 1024 * 1024,
        blockSize: 8 * 1024 * 1024,
        concurrency: 4,
        blobHTTPHeaders: { blobContentType: 'application/octet-stream' },
      }),
    );
  }

  /** Creates or overwrites a text for people. */
  async putText(name: string, text: string, contentType: string): Promise<void> {
    const blob = this.#container.getBlockBlobClient(name);
    const body = Buffer.from(text);
    const options = { blobHTTPHeaders: { blobContentType: contentType } };
    await this.#write(name, () => blob.upload(body, body.length, options));
  }

  async getBytes(name: string): Promise<Buffer | undefined> {
    return (await this.#download(name))?.bytes;
  }

  /**
   * Adds text to the end of an append blob, and creates it. It takes 50,000 texts of up to 4 MiB (learn.microsoft.com:
   * Append Block). A client that repeats a request whose answer was lost adds the text twice.
   */
  async append(name: string, text: string): Promise<void> {
    const blob = this.#container.getAppendBlobClient(name);
    const body = Buffer.from(text);
    try {
      await blob.appendBlock(body, body.length);
    } catch (error) {
      if (statusOf(error) !== 404) throw storageError(error, 'write', name);
      const options = { blobHTTPHeaders: { blobContentType: 'application/jsonl; charset=utf-8' } };
      await this.#write(name, async () => {
        await blob.createIfNotExists(options);
        await blob.appendBlock(body, body.length);
      });
    }
  }

  async readEnd(name: string, bytes: number): Promise<Buffer | undefined> {
    const blob = this.#container.getBlobClient(name);
    try {
      const { contentLength = 0 } = await blob.getProperties();
      if (contentLength === 0) return Buffer.alloc(0);
      return await blob.downloadToBuffer(Math.max(0, contentLength - bytes), Math.min(contentLength, bytes));
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw storageError(error, 'read', name);
    }
  }

  /** The blobs with a prefix, in the order of their names. */
  async *list(prefix: string): AsyncGenerator<{ name: string; lastModified: Date }> {
    try {
      for await (const blob of this.#container.listBlobsFlat({ prefix })) {
        yield { name: blob.name, lastModified: blob.properties.lastModified };
      }
    } catch (error) {
      if (statusOf(error) !== 404) throw storageError(error, 'list', prefix);
    }
  }

  /** The names of the folders directly in a folder. */
  async *folders(prefix: string): AsyncGenerator<string> {
    try {
      for await (const item of this.#container.listBlobsByHierarchy('/', { prefix })) {
        if (item.kind === 'prefix') yield item.name.slice(prefix.length, -1);
      }
    } catch (error) {
      if (statusOf(error) !== 404) throw storageError(error, 'list', prefix);
    }
  }

  /** Deletes all blobs with a prefix. Returns how many it deleted. */
  async deletePrefix(prefix: string): Promise<number> {
    let deleted = 0;
    await forEachConcurrently(this.list(prefix), 8, ({ name }) =>
      withStorageErrors('delete', name, async () => {
        const { succeeded } = await this.#container.getBlobClient(name).deleteIfExists();
        if (succeeded) deleted += 1;
      }),
    );
    return deleted;
  }

  /** Whether the document exists; also false if the container does not. */
  exists(name: string): Promise<boolean> {
    return withStorageErrors('look up', name, () => this.#container.getBlobClient(name).exists());
  }

  #write<T>(name: string, work: () => Promise<T>): Promise<T> {
    return withStorageErrors('write', name, () => inContainer(this.#container, work));
  }

  async #create(name: string, value: unknown): Promise<string | undefined> {
    try {
      return await this.#put(name, value, { ifNoneMatch: '*' });
    } catch (error) {
      if (error instanceof ConflictError) return undefined;
      throw error;
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
    const options = {
      conditions,
      blobHTTPHeaders: { blobContentType: 'application/json' },
      metadata: { writing },
    };
    try {
      return (await inContainer(this.#container, () => blob.upload(body, body.length, options))).etag!;
    } catch (error) {
      if (conditions.ifMatch !== undefined && statusOf(error) === 404) {
        throw new ConflictError(`Cannot replace ${name}: it does not exist`, {
          operation: 'write',
          object: name,
        });
      }
      const mapped = storageError(error, 'write', name);
      // If the response to a write is lost, the client's retry conflicts with that write.
      if (mapped instanceof ConflictError) {
        const now = await blob.getProperties().catch(() => undefined);
        if (now?.metadata?.['writing'] === writing) return now.etag!;
      }
      throw mapped;
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
        throw new RetriableError(`The download of ${name} was cut short`, {
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
