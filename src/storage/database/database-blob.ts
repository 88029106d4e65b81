import { createHash, hash, randomUUID } from 'node:crypto';
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import { ConfigurationError, ConflictError, SyncError } from '../../errors.ts';
import { inContainer, statusOf, storageError, withStorageErrors } from '../errors.ts';
import { forEachConcurrently } from '../for-each-concurrently.ts';
import { type BlockPlace, type BlockRange, blocksOf, defaultLayout, roomOf } from './block-layout.ts';
import type {
  Commit,
  DatabaseFile,
  FileBlock,
  FileBlocks,
  FileContent,
  FilePart,
  StoredFile,
} from './database-file.ts';

export interface DatabaseBlobOptions {
  /** The sizes of the blocks. Files that were stored with another layout are uploaded once more. */
  layout?: readonly BlockRange[];
  /**
   * How many blocks are staged, or ranges read, at the same time.
   * @default 8
   */
  concurrency?: number;
  /** The largest file that is opened, in bytes. @default no limit */
  maxBytes?: number;
  /** Is called before the state with this ETag is replaced by another one. */
  beforeCommit?: (etag: string) => Promise<void>;
  log?: (message: string, properties: Record<string, number>) => void;
}

const idLength = 20;
/** Larger parts are read in ranges of this size. */
const rangeSize = 16 * 1024 * 1024;
/** The length of a stretch of a file without blocks of its own. */
const unnamedSize = 4 * 1024 * 1024;

/**
 * The database file as a block blob. The id of a block is its index and the hash of its content, so the committed block
 * list says what is stored, and a commit uploads only what differs. A reader sees the state before a commit or the
 * state after it. Write the blob only with this class: a plain upload leaves no block list.
 */
export class DatabaseBlob implements DatabaseFile {
  readonly #blob: BlockBlobClient;
  readonly #container: ContainerClient;
  readonly #layout: readonly BlockRange[];
  readonly #concurrency: number;
  readonly #maxBytes: number;
  readonly #beforeCommit: (etag: string) => Promise<void>;
  readonly #log: NonNullable<DatabaseBlobOptions['log']>;

  constructor(container: ContainerClient, name: string, options: DatabaseBlobOptions = {}) {
    this.#container = container;
    this.#blob = container.getBlockBlobClient(name);
    this.#layout = options.layout ?? defaultLayout;
    this.#concurrency = options.concurrency ?? 8;
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
    this.#beforeCommit = options.beforeCommit ?? (async () => undefined);
    this.#log = options.log ?? (() => undefined);
  }

  /**
   * @throws ConfigurationError if the file is too large, before any of it is downloaded
   * @throws RetriableError if storage does not answer
   */
  async open(ifNot?: string): Promise<StoredFile | 'absent' | 'unchanged'> {
    try {
      const { contentLength = 0, etag } = await this.#blob.getProperties({
        conditions: { ifNoneMatch: ifNot },
      });
      if (contentLength > this.#maxBytes) throw this.#tooLarge(contentLength);
      return this.state(etag!, contentLength);
    } catch (error) {
      if (statusOf(error) === 304) return 'unchanged';
      if (statusOf(error) === 404) return 'absent';
      throw storageError(error, 'open', this.#blob.name);
    }
  }

  state(etag: string, length: number): StoredFile {
    return { etag, length, read: (parts) => this.#read(parts, etag) };
  }

  async #read(parts: readonly FilePart[], etag: string): Promise<void> {
    const ranges = parts.flatMap(({ at, into }) =>
      Array.from({ length: Math.ceil(into.length / rangeSize) }, (_, n) => ({
        at: at + n * rangeSize,
        into: into.subarray(n * rangeSize, (n + 1) * rangeSize),
      })),
    );
    await withStorageErrors('read', this.#blob.name, () =>
      forEachConcurrently(ranges, this.#concurrency, async ({ at, into }) => {
        const buffer = Buffer.from(into.buffer, into.byteOffset, into.length);
        // With one block as large as the range this is one request, which is repeated if the connection breaks.
        const options = { blockSize: into.length, conditions: { ifMatch: etag } };
        await this.#blob.downloadToBuffer(buffer, at, into.length, options).catch((error: unknown) => {
          throw statusOf(error) === 404 ? this.#gone() : error;
        });
      }),
    );
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

  /** Of a file that another program wrote, all blocks are new in each state. */
  async blocks(): Promise<FileBlocks | undefined> {
    const { blocks, etag } = await withStorageErrors('read the block list of', this.#blob.name, () =>
      this.#committedBlocks(),
    );
    if (etag === 'absent') return undefined;
    const isOwn = blocks.length > 0 && blocks.every(({ id }, index) => isBlockId(id, index));
    if (isOwn) return { etag, length: blocks.at(-1)!.to, blocks };
    const found = await this.open();
    if (typeof found === 'string') return undefined;
    return { etag: found.etag, length: found.length, blocks: unnamedBlocks(found) };
  }

  #gone(): ConflictError {
    return new ConflictError(`${this.#blob.name} was deleted while it was read.`, {
      operation: 'read',
      object: this.#blob.name,
      hint: 'Load it again and repeat the work.',
    });
  }

  #tooLarge(length: number, limit = this.#maxBytes): ConfigurationError {
    const { name } = this.#blob;
    return new ConfigurationError(`${name} has ${length} bytes, more than the limit of ${limit}.`, {
      operation: 'open',
      object: name,
      hint: 'Raise SYNC_DATABASE_MAX_MB, sync fewer tables or columns, or put tables into another file with "database" in entities.json.',
    });
  }

  /**
   * Does not write the same content again.
   * @throws ConflictError if another writer committed first, RetriableError
   */
  commit(content: FileContent, expected: { etag: string | 'absent' }): Promise<Commit> {
    return withStorageErrors('commit', this.#blob.name, () => this.#commit(content, expected.etag));
  }

  async #commit(content: FileContent, expected: string): Promise<Commit> {
    const { length } = content;
    if (length === 0) throw new SyncError('An empty file is not a database', { object: this.#blob.name });
    const limit = Math.min(this.#maxBytes, roomOf(this.#layout));
    if (length > limit) throw this.#tooLarge(length, limit);
    const stored = await this.#committedBlocks();
    if (stored.etag !== expected) {
      throw new ConflictError(`Cannot commit ${this.#blob.name}: another writer changed it`, {
        operation: 'commit',
        object: this.#blob.name,
        hint: 'Load it again and repeat the work.',
      });
    }
    const places = blocksOf(this.#layout, length);
    const isOwn = stored.blocks.every(({ id }, index) => isBlockId(id, index));
    const ids = places.map((place, index) =>
      isOwn ? this.#keptId(content, place, stored.blocks[index]) : undefined,
    );
    const kept = new Set(stored.blocks.map(({ id }) => id));
    let [stagedBlocks, stagedBytes] = [0, 0];
    const changed = places.flatMap((place, index) => (ids[index] === undefined ? { place, index } : []));
    if (stored.blocks.length > 1 && changed.length === places.length) {
      this.#log('Every block of the database is uploaded.', { blocks: places.length, bytes: length });
    }
    await forEachConcurrently(changed, this.#concurrency, async ({ place: { from, to }, index }) => {
      const bytes = await content.read(from, to);
      const id = blockId(index, bytes);
      ids[index] = id;
      if (kept.has(id)) return;
      await this.#stage(id, bytes);
      stagedBlocks += 1;
      stagedBytes += bytes.length;
    });
    const staged = { blocks: ids.length, stagedBlocks, stagedBytes };
    if (ids.length === stored.blocks.length && ids.every((id, index) => id === stored.blocks[index]!.id)) {
      return { etag: expected, ...staged };
    }
    if (expected !== 'absent') await this.#beforeCommit(expected);
    return { etag: await this.#commitList(ids as string[], expected), ...staged };
  }

  /** The id of the stored block, if it is certain that the block of the content is the same. */
  #keptId(content: FileContent, { from, to }: BlockPlace, stored: FileBlock | undefined): string | undefined {
    const isSame = stored?.from === from && stored.to === to && !content.isChanged(from, to);
    return isSame ? stored.id : undefined;
  }

  async #stage(id: string, bytes: Uint8Array): Promise<void> {
    // With it the service rejects a block that was damaged on the way, and computes no checksum of its own.
    const transactionalContentMD5 = createHash('md5').update(bytes).digest();
    await inContainer(this.#container, () =>
      this.#blob.stageBlock(id, bytes, bytes.length, { transactionalContentMD5 }),
    );
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
  async #committedBlocks(): Promise<{ blocks: FileBlock[]; etag: string | 'absent' }> {
    try {
      const { committedBlocks, etag } = await this.#blob.getBlockList('committed');
      let from = 0;
      const blocks = (committedBlocks ?? []).map(({ name: id, size }) => {
        const to = from + size;
        const block = { id, from, to };
        from = to;
        return block;
      });
      // A process that died in the first commit left uncommitted blocks: they have a block list, in the emulator even
      // an ETag, but the blob does not exist. A blob that was uploaded in one piece has no blocks and does exist.
      if (blocks.length === 0) return { blocks, etag: (await this.currentEtag()) ?? 'absent' };
      return { blocks, etag: etag! };
    } catch (error) {
      if (statusOf(error) === 404) return { blocks: [], etag: 'absent' };
      throw error;
    }
  }
}

/** Stretches of a file without a block list of this class. Their ids hold for one state only. */
function unnamedBlocks({ etag, length }: StoredFile): FileBlock[] {
  return Array.from({ length: Math.ceil(length / unnamedSize) }, (_, index) => ({
    id: `${etag}-${index}`,
    from: index * unnamedSize,
    to: Math.min(length, (index + 1) * unnamedSize),
  }));
}

/** Whether this class gave the id to a block at this index: other programs also write block blobs. */
export function isBlockId(id: string, index: number): boolean {
  const bytes = Buffer.from(id, 'base64');
  return bytes.length === idLength && bytes.readUInt32BE() === index;
}

/** Twenty bytes in base64. All ids of a blob must have the same length. */
function blockId(index: number, block: Uint8Array): string {
  const id = Buffer.alloc(idLength);
  id.writeUInt32BE(index);
  id.write(hash('sha256', block, 'hex').slice(0, 32), 4, 'hex');
  return id.toString('base64');
}
