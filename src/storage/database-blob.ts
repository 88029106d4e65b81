import { createHash, hash, randomUUID } from 'node:crypto';
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import { ConfigurationError, ConflictError, SyncError } from '../errors.ts';
import type { Commit, DatabaseFile } from './database-file.ts';
import { inContainer, statusOf, storageError, withStorageErrors } from './errors.ts';
import { forEachConcurrently } from './for-each-concurrently.ts';

export interface DatabaseBlobOptions {
  /**
   * The smallest size of a block, in bytes. It doubles if the file needs more than `maxBlocks`.
   * @default 262_144
   */
  blockSize?: number;
  /**
   * How many blocks are staged, or ranges read, at the same time.
   * @default 8
   */
  concurrency?: number;
  /**
   * Blob storage accepts 50,000 blocks in a blob (learn.microsoft.com: Put Block List); the default leaves a margin.
   * @default 45_000
   */
  maxBlocks?: number;
  /** The largest file that is loaded, in bytes. @default no limit */
  maxBytes?: number;
  /** Is called before the state with this ETag is replaced by another one. */
  beforeCommit?: (etag: string) => Promise<void>;
  /** Allocates the buffer to load the file into, for example one in which a database can grow. */
  allocate?: (length: number) => Buffer;
}

const rangeSize = 16 * 1024 * 1024;
const loadTries = 3;

/**
 * The database file as a block blob. The id of a block is its index and the hash of its content, so the committed block
 * list says what is stored, and a commit uploads only what differs. A reader sees the state before a commit or the
 * state after it. Write the blob only with this class: a plain upload leaves no block list.
 */
export class DatabaseBlob implements DatabaseFile {
  readonly #blob: BlockBlobClient;
  readonly #container: ContainerClient;
  readonly #blockSize: number;
  readonly #concurrency: number;
  readonly #maxBlocks: number;
  readonly #maxBytes: number;
  readonly #allocate: (length: number) => Buffer;
  readonly #beforeCommit: (etag: string) => Promise<void>;

  constructor(container: ContainerClient, name: string, options: DatabaseBlobOptions = {}) {
    this.#container = container;
    this.#blob = container.getBlockBlobClient(name);
    this.#blockSize = options.blockSize ?? 256 * 1024;
    this.#concurrency = options.concurrency ?? 8;
    this.#maxBlocks = options.maxBlocks ?? 45_000;
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
    this.#allocate = options.allocate ?? Buffer.allocUnsafeSlow;
    this.#beforeCommit = options.beforeCommit ?? (async () => undefined);
  }

  /**
   * Downloads one state of the file.
   * @param ifNot the ETag of the state that the caller has: returns `unchanged` if it is still the current one
   * @throws ConfigurationError if the file is too large, before any of it is downloaded
   * @throws RetriableError, or ConflictError if the blob changed during each of several tries
   */
  async load(ifNot?: string): Promise<{ bytes: Buffer; etag: string } | 'absent' | 'unchanged'> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#load(ifNot);
      } catch (error) {
        if (statusOf(error) === 304) return 'unchanged';
        if (statusOf(error) === 404) return 'absent';
        // Another writer replaced the blob between two ranges.
        if (statusOf(error) === 412 && tries < loadTries) continue;
        throw storageError(error, 'load', this.#blob.name);
      }
    }
  }

  /** The ETag of the current state, undefined if there is no blob. Downloads no content. */
  async currentEtag(): Promise<string | undefined> {
    try {
      return (await this.#blob.getProperties()).etag;
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw storageError(error, 'look up', this.#blob.name);
    }
  }

  async #load(ifNot: string | undefined): Promise<{ bytes: Buffer; etag: string }> {
    const { contentLength, etag } = await this.#blob.getProperties({ conditions: { ifNoneMatch: ifNot } });
    if (contentLength! > this.#maxBytes) throw this.#tooLarge(contentLength!);
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

  #tooLarge(length: number): ConfigurationError {
    const { name } = this.#blob;
    return new ConfigurationError(`${name} has ${length} bytes, more than the limit of ${this.#maxBytes}.`, {
      operation: 'load',
      object: name,
      hint: 'Give the function app more memory (it needs 2.1 times the size of the file), or raise SYNC_DATABASE_MAX_MB.',
    });
  }

  /**
   * Makes `bytes` the content of the blob if its state is still `etag`. Does not write the same content again. `bytes`
   * must not change before the promise settles.
   * @throws ConflictError if another writer committed first, RetriableError
   */
  commit(bytes: Uint8Array, expected: { etag: string | 'absent' }): Promise<Commit> {
    return withStorageErrors('commit', this.#blob.name, () => this.#commit(bytes, expected.etag));
  }

  async #commit(bytes: Uint8Array, expected: string): Promise<Commit> {
    if (bytes.length === 0) {
      throw new SyncError('An empty file is not a database', { object: this.#blob.name });
    }
    const stored = await this.#committedBlocks();
    if (stored.etag !== expected) {
      throw new ConflictError(`Cannot commit ${this.#blob.name}: another writer changed it`, {
        operation: 'commit',
        object: this.#blob.name,
        hint: 'Load it again and repeat the work.',
      });
    }
    const blocks = this.#blocksOf(bytes);
    const ids = blocks.map((block) => block.id);
    if (ids.length === stored.ids.length && ids.every((id, index) => id === stored.ids[index])) {
      return { etag: expected, blocks: ids.length, stagedBlocks: 0, stagedBytes: 0 };
    }
    if (expected !== 'absent') await this.#beforeCommit(expected);
    const known = new Set(stored.ids);
    const missing = blocks.filter((block) => !known.has(block.id));
    await forEachConcurrently(missing, this.#concurrency, (block) =>
      inContainer(this.#container, () =>
        this.#blob.stageBlock(block.id, block.bytes, block.bytes.length, {
          // With it the service rejects a block that was damaged on the way, and computes no checksum of its own.
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
      // If the response to a commit is lost, the client's retry conflicts with that commit.
      if (storageError(error, 'commit', this.#blob.name) instanceof ConflictError) {
        const now = await this.#blob.getProperties().catch(() => undefined);
        if (now?.metadata?.['commit'] === commit) return now.etag!;
      }
      throw error;
    }
  }

  /** The committed block list and its ETag. */
  async #committedBlocks(): Promise<{ ids: string[]; etag: string | 'absent' }> {
    try {
      const { committedBlocks, etag } = await this.#blob.getBlockList('committed');
      const ids = (committedBlocks ?? []).map((block) => block.name);
      // A process that died in the first commit left uncommitted blocks: they have a block list, in the emulator even
      // an ETag, but the blob does not exist. A blob that was uploaded in one piece has no blocks and does exist.
      if (ids.length === 0) return { ids, etag: (await this.currentEtag()) ?? 'absent' };
      return { ids, etag: etag! };
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

/** Twenty bytes in base64. All ids of a blob must have the same length. */
function blockId(index: number, block: Uint8Array): string {
  const id = Buffer.alloc(20);
  id.writeUInt32BE(index);
  id.write(hash('sha256', block, 'hex').slice(0, 32), 4, 'hex');
  return id.toString('base64');
}
