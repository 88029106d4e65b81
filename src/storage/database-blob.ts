import { createHash, hash, randomUUID } from 'node:crypto';
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import { ConflictError, SyncError } from '../errors.ts';
import type { Commit, DatabaseFile } from './database-file.ts';
import { eachOf } from './each-of.ts';
import { inContainer, statusOf, storageError } from './errors.ts';

export interface DatabaseBlobOptions {
  /** Bytes of a block, at least; it doubles where the file would need too many blocks. 256 KiB unless told. */
  blockSize?: number;
  /** Blocks that are staged, and ranges that are read, at the same time. */
  concurrency?: number;
  /**
   * 45,000 unless told. Blob storage takes 50,000 blocks a blob (learn.microsoft.com: Put Block List); some
   * room is left.
   */
  maxBlocks?: number;
  /** Makes the buffer that the file is loaded into, for example one in which a database can grow. */
  allocate?: (length: number) => Buffer;
}

const rangeSize = 16 * 1024 * 1024;
const loadTries = 3;

/**
 * The database file as a block blob whose block ids are index and content hash: the committed block list is
 * the manifest of what is stored, and a commit uploads only what it lacks. Whoever reads sees the state
 * before a commit or the one after it. Write the blob in no other way: a plain upload leaves no block list.
 */
export class DatabaseBlob implements DatabaseFile {
  readonly #blob: BlockBlobClient;
  readonly #container: ContainerClient;
  readonly #blockSize: number;
  readonly #concurrency: number;
  readonly #maxBlocks: number;
  readonly #allocate: (length: number) => Buffer;

  constructor(container: ContainerClient, name: string, options: DatabaseBlobOptions = {}) {
    this.#container = container;
    this.#blob = container.getBlockBlobClient(name);
    this.#blockSize = options.blockSize ?? 256 * 1024;
    this.#concurrency = options.concurrency ?? 8;
    this.#maxBlocks = options.maxBlocks ?? 45_000;
    this.#allocate = options.allocate ?? Buffer.allocUnsafeSlow;
  }

  /**
   * Downloads one state of the file.
   * @param ifNot the ETag of the state that the caller has: where it is still the same, `unchanged`
   * @throws RetriableError, ConflictError where the blob changed during each of several tries
   */
  async load(ifNot?: string): Promise<{ bytes: Buffer; etag: string } | 'absent' | 'unchanged'> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#load(ifNot);
      } catch (error) {
        if (statusOf(error) === 304) return 'unchanged';
        if (statusOf(error) === 404) return 'absent';
        // Replaced between two ranges.
        if (statusOf(error) === 412 && tries < loadTries) continue;
        throw storageError(error, 'load', this.#blob.name);
      }
    }
  }

  /** The ETag of the state that stands in Blob storage, undefined where there is none. Moves no content. */
  async currentEtag(): Promise<string | undefined> {
    try {
      return (await this.#blob.getProperties()).etag;
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw storageError(error, 'look up', this.#blob.name);
    }
  }

  async #load(ifNot: string | undefined): Promise<{ bytes: Buffer; etag: string }> {
    const conditions = ifNot === undefined ? {} : { ifNoneMatch: ifNot };
    const { contentLength, etag } = await this.#blob.getProperties({ conditions });
    const bytes = this.#allocate(contentLength!);
    if (bytes.length > 0) {
      await this.#blob.downloadToBuffer(bytes, 0, bytes.length, {
        blockSize: rangeSize,
        concurrency: this.#concurrency,
        conditions: { ifMatch: etag! },
      });
    }
    return { bytes, etag: etag! };
  }

  /**
   * Makes `bytes` the blob's content if it is still the state `etag`. The same content is not written again.
   * `bytes` must not change before the promise settles.
   * @throws ConflictError where somebody else committed, RetriableError
   */
  async commit(bytes: Uint8Array, expected: { etag: string | 'absent' }): Promise<Commit> {
    try {
      return await this.#commit(bytes, expected.etag);
    } catch (error) {
      throw storageError(error, 'commit', this.#blob.name);
    }
  }

  async #commit(bytes: Uint8Array, expected: string): Promise<Commit> {
    if (bytes.length === 0) throw new SyncError('an empty file is no database', { object: this.#blob.name });
    const stored = await this.#committedBlocks();
    if (stored.etag !== expected) {
      throw new ConflictError(`cannot commit ${this.#blob.name}: it is another state by now`, {
        operation: 'commit',
        object: this.#blob.name,
        hint: 'load it again and do the work once more',
      });
    }
    const blocks = this.#blocksOf(bytes);
    const ids = blocks.map((block) => block.id);
    if (ids.length === stored.ids.length && ids.every((id, index) => id === stored.ids[index])) {
      return { etag: expected, blocks: ids.length, stagedBlocks: 0, stagedBytes: 0 };
    }
    const known = new Set(stored.ids);
    const missing = blocks.filter((block) => !known.has(block.id));
    await eachOf(missing, this.#concurrency, (block) =>
      inContainer(this.#container, () =>
        this.#blob.stageBlock(block.id, block.bytes, block.bytes.length, {
          // The service refuses a block that was damaged on the way, and spares itself a checksum of its own.
          transactionalContentMD5: createHash('md5').update(block.bytes).digest(),
        }),
      ),
    );
    const etag = await this.#commitList(ids, expected);
    const stagedBytes = missing.reduce((sum, block) => sum + block.bytes.length, 0);
    return { etag, blocks: ids.length, stagedBlocks: missing.length, stagedBytes };
  }

  async #commitList(ids: string[], expected: string): Promise<string> {
    const commit = randomUUID();
    try {
      const { etag } = await this.#blob.commitBlockList(ids, {
        conditions: expected === 'absent' ? { ifNoneMatch: '*' } : { ifMatch: expected },
        blobHTTPHeaders: { blobContentType: 'application/vnd.sqlite3' },
        metadata: { commit },
      });
      return etag!;
    } catch (error) {
      // The answer to a commit may get lost; tried again by the client it then collides with itself.
      if (storageError(error, 'commit', this.#blob.name) instanceof ConflictError) {
        const now = await this.#blob.getProperties().catch(() => undefined);
        if (now?.metadata?.['commit'] === commit) return now.etag!;
      }
      throw error;
    }
  }

  /** The committed block list and the ETag it belongs to. */
  async #committedBlocks(): Promise<{ ids: string[]; etag: string | 'absent' }> {
    try {
      const { committedBlocks, etag } = await this.#blob.getBlockList('committed');
      // A blob that has but uncommitted blocks is answered for, and does not exist.
      return { ids: (committedBlocks ?? []).map((block) => block.name), etag: etag ?? 'absent' };
    } catch (error) {
      if (statusOf(error) === 404) return { ids: [], etag: 'absent' };
      throw error;
    }
  }

  #blocksOf(bytes: Uint8Array): { id: string; bytes: Uint8Array }[] {
    let size = this.#blockSize;
    while (Math.ceil(bytes.length / size) > this.#maxBlocks) size *= 2;
    return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => {
      const block = bytes.subarray(index * size, (index + 1) * size);
      return { id: blockId(index, block), bytes: block };
    });
  }
}

/** Twenty bytes in base64: all ids of a blob must have one length. */
function blockId(index: number, block: Uint8Array): string {
  const id = Buffer.alloc(20);
  id.writeUInt32BE(index);
  id.write(hash('sha256', block, 'hex').slice(0, 32), 4, 'hex');
  return id.toString('base64');
}
