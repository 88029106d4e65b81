import type { BlobClient, BlobItem, ContainerClient } from '@azure/storage-blob';
import type { Kept } from '../../config/parse-settings.ts';
import { ConflictError } from '../../errors.ts';
import { statusOf, storageError, withStorageErrors } from '../errors.ts';
import { forEachConcurrently } from '../for-each-concurrently.ts';

/** A state of the database file that can be read. */
export interface DatabaseVersion {
  /** What keeps it. A `version` is kept by the account, by its own rules (learn.microsoft.com: Blob versioning). */
  kind: 'current' | 'snapshot' | 'version';
  /** Of the snapshot or version. */
  id?: string;
  /** The ETag that the file had in this state. */
  etag: string;
  /** When the state was committed, in whole seconds. */
  committedAt: Date;
  bytes: number;
  /** When the state was first committed that this one restored: ISO 8601, UTC. */
  restoredFrom?: string;
}

export interface DatabaseVersionsOptions {
  /** Which snapshots stay. Without it, commits keep none. */
  keep?: Kept;
  /** Is told about a fault that must not stop a commit. */
  warn: (message: string, error: unknown) => void;
  now?: () => Date;
}

/** The most snapshots that one commit deletes, so that a setting that became smaller delays no commit for long. */
const maxDeletes = 50;

/**
 * Earlier states of the database file. An account with versioning keeps them by itself. In any other account, a commit
 * first takes a snapshot of the state that it replaces: snapshots exist in every account, are taken at once, keep the
 * block list, and share their blocks with the file, so each costs what the commit changed (learn.microsoft.com: Snapshot
 * Blob; Blob snapshots, Pricing and billing). A process that dies between snapshot and commit leaves a snapshot of the
 * present state, which the next commit finds by its ETag.
 */
export class DatabaseVersions {
  readonly #blob: BlobClient;
  readonly #container: ContainerClient;
  readonly #options: DatabaseVersionsOptions;

  constructor(container: ContainerClient, name: string, options: DatabaseVersionsOptions) {
    this.#container = container;
    this.#blob = container.getBlobClient(name);
    this.#options = options;
  }

  /** The name of the blob. */
  get name(): string {
    return this.#blob.name;
  }

  /** All states that can be restored and the present one, newest first. @throws RetriableError */
  async list(): Promise<DatabaseVersion[]> {
    const current = await this.#current();
    // Where there is no file, only the account's own versions can be left.
    return this.#list({ includeVersions: current === undefined || current.versionId !== undefined });
  }

  /**
   * Keeps the state `etag`, which is about to be replaced, and deletes snapshots that need not be kept any more. Never
   * throws: a commit without a copy of the state before is better than none.
   */
  async beforeCommit(etag: string): Promise<void> {
    const { keep, warn } = this.#options;
    if (keep === undefined || keep.count === 0) return;
    try {
      const snapshots = await this.keep(etag);
      if (snapshots !== undefined) await this.#prune(snapshots, keep);
    } catch (error) {
      // Another writer has committed. The commit finds that out.
      if (error instanceof ConflictError) return;
      warn(`An earlier state of ${this.name} could not be kept, or one could not be deleted`, error);
    }
  }

  /**
   * Makes sure that the present state can be restored.
   * @returns the snapshots, newest first; undefined if the account keeps versions by itself
   * @throws ConflictError if the present state is not `etag`
   */
  keep(etag: string): Promise<string[] | undefined> {
    return withStorageErrors('take a snapshot of', this.name, async () => {
      const conditions = { ifMatch: etag };
      const { versionId } = await this.#blob.getProperties({ conditions });
      if (versionId !== undefined) return undefined;
      const kept = (await this.#list({})).filter(({ kind }) => kind === 'snapshot');
      const ids = kept.map(({ id }) => id!);
      if (kept.some((one) => one.etag === etag)) return ids;
      const { snapshot } = await this.#blob.createSnapshot({ conditions });
      return [snapshot!, ...ids];
    });
  }

  /** A client that reads one state. */
  read({ kind, id }: DatabaseVersion): BlobClient {
    if (kind === 'snapshot') return this.#blob.withSnapshot(id!);
    return kind === 'version' ? this.#blob.withVersion(id!) : this.#blob;
  }

  async #current(): Promise<{ versionId?: string } | undefined> {
    try {
      return await this.#blob.getProperties();
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw storageError(error, 'look up', this.name);
    }
  }

  async #list(options: { includeVersions?: boolean }): Promise<DatabaseVersion[]> {
    const found: DatabaseVersion[] = [];
    const all = { prefix: this.name, includeMetadata: true, includeSnapshots: true, ...options };
    try {
      for await (const item of this.#container.listBlobsFlat(all)) {
        if (item.name === this.name) found.push(versionOf(item));
      }
    } catch (error) {
      if (statusOf(error) !== 404) throw storageError(error, 'list the versions of', this.name);
    }
    return found.sort(newestFirst);
  }

  /**
   * The newest snapshot always stays.
   * @param snapshots their ids: the times when they were taken. Until then, each was the present state
   */
  async #prune(snapshots: readonly string[], { count, seconds }: Kept): Promise<void> {
    const now = (this.#options.now?.() ?? new Date()).getTime();
    const isOld = (id: string) => seconds !== undefined && now - Date.parse(id) > seconds * 1000;
    const unneeded = snapshots.filter((id, index) => index > 0 && (index >= count || isOld(id)));
    const oldest = unneeded.reverse().slice(0, maxDeletes);
    await forEachConcurrently(oldest, 4, (id) =>
      withStorageErrors('delete a snapshot of', this.name, async () => {
        await this.#blob.withSnapshot(id).deleteIfExists();
      }),
    );
  }
}

function versionOf({
  snapshot,
  versionId,
  isCurrentVersion,
  properties,
  metadata,
}: BlobItem): DatabaseVersion {
  const { etag, lastModified, contentLength } = properties;
  const isVersion = versionId !== undefined && isCurrentVersion !== true;
  const kind = snapshot ? 'snapshot' : isVersion ? 'version' : 'current';
  return {
    kind,
    id: kind === 'snapshot' ? snapshot : kind === 'version' ? versionId : undefined,
    // Lists show ETags without quotes in some versions of the service.
    etag: etag.startsWith('"') ? etag : `"${etag}"`,
    committedAt: lastModified,
    bytes: contentLength ?? 0,
    restoredFrom: metadata?.['restoredfrom'],
  };
}

/** The present state first; of states of the same second, the one that was kept last. */
function newestFirst(a: DatabaseVersion, b: DatabaseVersion): number {
  if (a.kind === 'current' || b.kind === 'current') return a.kind === 'current' ? -1 : 1;
  const difference = b.committedAt.getTime() - a.committedAt.getTime();
  return difference !== 0 ? difference : (b.id ?? '') < (a.id ?? '') ? -1 : 1;
}
