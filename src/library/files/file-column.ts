import { readFileName } from '../../dataverse/read/read-file-name.ts';
import type { CallOptions } from '../../dataverse/transport/call.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { type BlockTarget, uploadFileBlocks } from '../../dataverse/write/file-blocks.ts';
import { deleteFile, downloadFile, uploadFile } from '../../dataverse/write/files.ts';
import type { UploadState } from '../../dataverse/write/upload-state.ts';
import { checkCount } from '../client/check-count.ts';
import type { RequestOptions } from '../client/options.ts';
import type { QuerySource } from '../query/query.ts';

export interface TransferOptions extends RequestOptions {
  /** Called after each chunk with the bytes transferred so far and in total. */
  onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  /** Bytes per request, at most 4 MiB for uploads. @default 4 MiB */
  chunkBytes?: number | undefined;
}

export interface UploadOptions extends TransferOptions {
  /** The MIME type, for file columns. @default that of the name's ending, which Dataverse knows */
  mimeType?: string | undefined;
  /**
   * Called with what is needed to go on with the upload: at its start and after each chunk. Give the last state to `resume`
   * after a failure. For file columns.
   */
  onState?: ((state: UploadState) => void) | undefined;
  /** Goes on with an upload of the same bytes. */
  resume?: UploadState | undefined;
}

export interface DownloadOptions extends TransferOptions {
  /**
   * The first byte to download, to go on with a download. Whether the file is still the same is not checked.
   * @default 0
   */
  from?: number | undefined;
  /** The image itself instead of its thumbnail. */
  fullSize?: boolean | undefined;
}

export type { UploadState };

/** A file or image column of one row. learn.microsoft.com: "Use file column data", "Use image column data". */
export class FileColumn {
  readonly #source: QuerySource;
  readonly #id: string;
  readonly #column: string;

  /** @internal */
  constructor(source: QuerySource, id: string, column: string) {
    this.#source = source;
    this.#id = id;
    this.#column = column;
  }

  /**
   * Uploads a file in chunks. It appears with the last one. A chunk without a response is sent again.
   * With `mimeType`, `onState` or `resume`, Dataverse's messages for blocks are used, which image columns do not have.
   */
  upload(fileName: string, data: Uint8Array, options: UploadOptions = {}): Promise<void> {
    const { onProgress, chunkBytes, mimeType, onState, resume } = options;
    return this.#run(options, async (transport, file, call) => {
      if (chunkBytes !== undefined) checkCount(chunkBytes, 'chunkBytes');
      const transfer = { ...call, onProgress, chunkBytes };
      const isBlocks = mimeType !== undefined || onState !== undefined || resume !== undefined;
      if (!isBlocks) return uploadFile(transport, file, fileName, data, transfer);
      return uploadFileBlocks(transport, file, fileName, data, { ...transfer, mimeType, onState, resume });
    });
  }

  /**
   * Downloads the file chunk by chunk. An empty column yields nothing.
   * @throws DataverseError if a file of another name or size replaces it during the download. Dataverse names no version of a
   *   file, so one of the same name and size is not noticed
   */
  async *download(options: DownloadOptions = {}): AsyncGenerator<Uint8Array> {
    const { onProgress, chunkBytes, from, fullSize } = options;
    const { session } = this.#source;
    if (chunkBytes !== undefined) checkCount(chunkBytes, 'chunkBytes');
    if (from !== undefined) checkCount(from, 'from', 0);
    const file = await this.#file(options);
    yield* session.iterate(options, (transport, call) =>
      downloadFile(transport, file, { ...call, onProgress, chunkBytes, from, fullSize, yieldsEmpty: true }),
    );
  }

  /** Downloads the whole file into memory; undefined if the column is empty. */
  async bytes(options: DownloadOptions = {}): Promise<Uint8Array | undefined> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.download(options)) chunks.push(chunk);
    return chunks.length === 0 ? undefined : Buffer.concat(chunks);
  }

  /** Deletes the file. An empty column is not an error. */
  delete(options?: RequestOptions): Promise<void> {
    return this.#run(options, deleteFile);
  }

  /** The name of the file in a file column; undefined if it is empty. */
  name(options?: RequestOptions): Promise<string | undefined> {
    return this.#run(options, readFileName);
  }

  #run<T>(
    options: RequestOptions | undefined,
    work: (transport: Transport, file: BlockTarget, call: CallOptions) => Promise<T>,
  ): Promise<T> {
    return this.#source.session.run(options, async (transport, call) =>
      work(transport, await this.#file(options), call),
    );
  }

  async #file(options: RequestOptions | undefined) {
    const { entitySet, logicalName, primaryId } = await this.#source.definition(options);
    return { entitySet, logicalName, primaryId, id: this.#id, column: this.#column };
  }
}
