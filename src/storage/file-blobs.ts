import { Readable } from 'node:stream';
import type { ContainerClient } from '@azure/storage-blob';
import { storageError, withStorageErrors } from './errors.ts';

const bufferBytes = 4 * 1024 * 1024;

/** The contents of files beside the database, by name. */
export interface FileStore {
  /**
   * Makes `chunks` the content of a file. The previous content stays until the last chunk is written.
   * @returns the length of the content in bytes
   * @throws the errors of `chunks`
   */
  write(name: string, chunks: AsyncIterable<Uint8Array>): Promise<number>;
  /** Deletes a file if it exists. */
  remove(name: string): Promise<void>;
}

/** The same, one blob each. */
export class FileBlobs implements FileStore {
  readonly #container: ContainerClient;

  constructor(container: ContainerClient) {
    this.#container = container;
  }

  /**
   * Makes `chunks` the content of a blob: one chunk in one request, several block by block. The previous content stays
   * until the last chunk is written.
   * @returns the length of the content in bytes
   * @throws the errors of `chunks`, RetriableError
   */
  async write(name: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
    const blob = this.#container.getBlockBlobClient(name);
    const options = { blobHTTPHeaders: { blobContentType: 'application/octet-stream' } };
    const parts = chunks[Symbol.asyncIterator]();
    const first = await parts.next();
    const second = first.done ? first : await parts.next();
    let bytes = first.done ? 0 : first.value.byteLength;
    if (second.done) {
      const body = first.done ? '' : Buffer.from(first.value);
      await withStorageErrors('write', name, () => blob.upload(body, bytes, options));
      return bytes;
    }
    let fault: { error: unknown } | undefined;
    const rest = async function* () {
      yield first.value;
      try {
        for (let part: IteratorResult<Uint8Array> = second; !part.done; part = await parts.next()) {
          bytes += part.value.byteLength;
          yield part.value;
        }
      } catch (error) {
        // The upload wraps it in an error of its own.
        fault = { error };
        throw error;
      }
    };
    try {
      await blob.uploadStream(Readable.from(rest(), { objectMode: false }), bufferBytes, 2, options);
      return bytes;
    } catch (error) {
      throw fault?.error ?? storageError(error, 'write', name);
    }
  }

  /** Deletes a blob if it exists. */
  async remove(name: string): Promise<void> {
    await withStorageErrors('delete', name, () => this.#container.getBlobClient(name).deleteIfExists());
  }
}
