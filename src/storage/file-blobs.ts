import { Readable } from 'node:stream';
import type { ContainerClient } from '@azure/storage-blob';
import { storageError } from './errors.ts';

const bufferBytes = 4 * 1024 * 1024;

/** Contents of files beside the database, one blob each. */
export class FileBlobs {
  readonly #container: ContainerClient;

  constructor(container: ContainerClient) {
    this.#container = container;
  }

  /**
   * Makes `chunks` the content of a blob: a single one in one request, several block by block. What stood there before
   * stays until the last chunk has come.
   * @returns the content's length in bytes
   * @throws whatever `chunks` throws, RetriableError
   */
  async write(name: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
    const blob = this.#container.getBlockBlobClient(name);
    const options = { blobHTTPHeaders: { blobContentType: 'application/octet-stream' } };
    const parts = chunks[Symbol.asyncIterator]();
    const first = await parts.next();
    const second = first.done ? first : await parts.next();
    let bytes = first.done ? 0 : first.value.byteLength;
    try {
      if (second.done) {
        await blob.upload(first.done ? '' : Buffer.from(first.value), bytes, options);
        return bytes;
      }
    } catch (error) {
      throw storageError(error, 'write', name);
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
        // The upload wraps it beyond recognition.
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

  /** Deletes a blob; none is as good as a deleted one. */
  async remove(name: string): Promise<void> {
    try {
      await this.#container.getBlobClient(name).deleteIfExists();
    } catch (error) {
      throw storageError(error, 'delete', name);
    }
  }
}
