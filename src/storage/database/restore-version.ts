import { randomBytes, randomUUID } from 'node:crypto';
import type { BlobClient, BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import { ConflictError, type SyncError } from '../../errors.ts';
import { inContainer, statusOf, storageError, withStorageErrors } from '../errors.ts';
import { forEachConcurrently } from '../for-each-concurrently.ts';
import { isBlockId } from './database-blob.ts';
import type { DatabaseVersion, DatabaseVersions } from './database-versions.ts';

export interface RestoredVersion {
  /** Of the file afterwards. */
  etag: string;
  blocks: number;
  /** The blocks and bytes that the present state did not have. */
  stagedBlocks: number;
  stagedBytes: number;
}

interface Block {
  id: string;
  first: number;
  size: number;
}

/** The size of blocks for a version that another program wrote, in bytes. */
const ownBlockSize = 4 * 1024 * 1024;

/**
 * Makes a version the present state, if that is still `expected`, after it has kept the present one. The file changes at
 * once, as with any commit: readers see the state before or the restored one. Copy Blob is not used: a copy can take place
 * in the background, and while it does, or after it was aborted, the file is empty (learn.microsoft.com: Copy Blob, Abort
 * Copy Blob). The restored file has the block list of the version, so the next commit uploads what changes. Only of a
 * version that another program uploaded, the next commit uploads everything.
 * @throws ConflictError if another writer commits first; nothing has changed then
 */
export async function restoreVersion(
  container: ContainerClient,
  versions: DatabaseVersions,
  version: DatabaseVersion,
  expected: string | undefined,
): Promise<RestoredVersion> {
  const { name } = versions;
  return withStorageErrors('restore', name, async () => {
    const target = container.getBlockBlobClient(name);
    const source = versions.read(version);
    const blocks = await blocksOf(source, version.bytes);
    const present = await committedIds(target, expected);
    const ids = blocks.map(({ id }) => id);
    const isSame = ids.length === present.length && ids.every((id, index) => id === present[index]);
    if (isSame && expected !== undefined) {
      return { etag: expected, blocks: ids.length, stagedBlocks: 0, stagedBytes: 0 };
    }
    if (expected !== undefined) await versions.keep(expected);
    const known = new Set(present);
    const missing = blocks.filter(({ id }) => !known.has(id));
    await forEachConcurrently(missing, 4, async ({ id, first, size }) => {
      const bytes = await source.downloadToBuffer(first, size);
      await inContainer(container, () => target.stageBlock(id, bytes, size));
    });
    const restoredfrom = version.restoredFrom ?? version.committedAt.toISOString();
    const etag = await commit(target, ids, expected, restoredfrom);
    const stagedBytes = missing.reduce((sum, { size }) => sum + size, 0);
    return { etag, blocks: ids.length, stagedBlocks: missing.length, stagedBytes };
  });
}

/** The blocks of a version; its bytes cut into blocks if another program wrote it. */
async function blocksOf(source: BlobClient, bytes: number): Promise<Block[]> {
  const { committedBlocks = [] } = await source.getBlockBlobClient().getBlockList('committed');
  const sizes = committedBlocks.map(({ name, size }) => ({ id: name, size }));
  const total = sizes.reduce((sum, { size }) => sum + size, 0);
  const own = Array.from({ length: Math.ceil(bytes / ownBlockSize) }, (_, index) => ({
    // As long as the ids of DatabaseBlob: all ids of a blob have the same length.
    id: randomBytes(20).toString('base64'),
    size: Math.min(ownBlockSize, bytes - index * ownBlockSize),
  }));
  let first = 0;
  // Other programs give the same id to blocks with other content: an id says something only if it is made of the content.
  const isOwn = total === bytes && sizes.every(({ id }, index) => isBlockId(id, index));
  return (isOwn ? sizes : own).map((block) => {
    first += block.size;
    return { ...block, first: first - block.size };
  });
}

/** The ids of the present block list. @throws ConflictError if the present state is another one */
async function committedIds(target: BlockBlobClient, expected: string | undefined): Promise<string[]> {
  const present = await etagOf(target);
  if (present !== expected) throw changed(target.name);
  if (present === undefined) return [];
  const { committedBlocks = [] } = await target.getBlockList('committed');
  return committedBlocks.map(({ name }) => name);
}

async function commit(
  target: BlockBlobClient,
  ids: string[],
  expected: string | undefined,
  restoredfrom: string,
): Promise<string> {
  const commit = randomUUID();
  try {
    const { etag } = await target.commitBlockList(ids, {
      conditions: expected === undefined ? { ifNoneMatch: '*' } : { ifMatch: expected },
      blobHTTPHeaders: { blobContentType: 'application/vnd.sqlite3' },
      metadata: { commit, restoredfrom },
    });
    return etag!;
  } catch (error) {
    if (!(storageError(error, 'restore', target.name) instanceof ConflictError)) throw error;
    // If the response to a commit is lost, the client's retry conflicts with that commit.
    const now = await target.getProperties().catch(() => undefined);
    if (now?.metadata?.['commit'] === commit) return now.etag!;
    throw changed(target.name);
  }
}

async function etagOf(target: BlobClient): Promise<string | undefined> {
  try {
    return (await target.getProperties()).etag;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

function changed(name: string): SyncError {
  return new ConflictError(`Another writer committed ${name} meanwhile. Nothing was restored.`, {
    operation: 'restore',
    object: name,
    hint: 'Wait until no run is live, then try again.',
  });
}
