import { Readable } from 'node:stream';
import type { ContainerClient } from '@azure/storage-blob';
import { storageError } from './storage-errors.ts';

const bufferBytes = 4 * 1024 * 1024;

/** Contents of files beside the database, one blob each. */
export class FileBlobs {
  readonly #container: ContainerClient;

  constructor(container: ContainerClient) {
    this.#container = container;
  }

  /**
   * Makes `chunks` the content of a blob. What stood there before stays until the last chunk has come.
   * @returns the content's length in bytes
   * @throws whatever `chunks` throws, RetriableError
   */
  async write(name: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
    let bytes = 0;
    let fault: { error: unknown } | undefined;
    const counted = async function* () {
      try {
        for await (const chunk of chunks) {
          bytes += chunk.byteLength;
          yield chunk;
        }
      } catch (error) {
        // The upload wraps it beyond recognition.
        fault = { error };
        throw error;
      }
    };
    try {
      await this.#container
        .getBlockBlobClient(name)
        .uploadStream(Readable.from(counted(), { objectMode: false }), bufferBytes, 2, {
          blobHTTPHeaders: { blobContentType: 'application/octet-stream' },
        });
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
