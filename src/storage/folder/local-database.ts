import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigurationError, ConflictError, SyncError } from '../../errors.ts';
import type {
  Commit,
  DatabaseFile,
  FileBlocks,
  FileContent,
  FilePart,
  StoredFile,
} from '../database/database-file.ts';
import { codeOf, withFileErrors } from './file-errors.ts';
import { etagOf } from './file-etag.ts';

/** The unit in which the changes of a file are counted and written, in bytes. */
const blockSize = 262_144;

export interface LocalDatabaseOptions {
  /** The largest file, in bytes. @default no limit */
  maxBytes?: number;
  /** Where a commit makes the next state: in a folder on the same disk. @default the path and `.new` */
  nextPath?: string;
}

/**
 * The database as an ordinary file. A commit copies it, writes what changed into the copy, and puts the copy in its place:
 * programs that have the file open keep the state that they opened. Where the file system can share the content of two
 * files (Btrfs, XFS, APFS, ReFS), the copy costs nothing.
 */
export class LocalDatabase implements DatabaseFile {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #nextPath: string;
  /** Those of the state that was read last. */
  #blocks: FileBlocks | undefined;
  /** The last commit. They come one after the other. */
  #committing: Promise<unknown> = Promise.resolve();

  constructor(
    path: string,
    { maxBytes = Number.POSITIVE_INFINITY, nextPath = `${path}.new` }: LocalDatabaseOptions = {},
  ) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#nextPath = nextPath;
  }

  open(ifNot?: string): Promise<StoredFile | 'absent' | 'unchanged'> {
    return withFileErrors('open', this.#path, async () => {
      await this.#checkForeignJournal();
      const found = await this.#find();
      if (found === undefined) return 'absent';
      if (found.etag === ifNot) return 'unchanged';
      if (found.length > this.#maxBytes) throw this.#tooLarge(found.length);
      return this.state(found.etag, found.length);
    });
  }

  state(etag: string, length: number): StoredFile {
    return {
      etag,
      length,
      read: (parts) => withFileErrors('read', this.#path, () => this.#read(parts, etag)),
    };
  }

  async currentEtag(): Promise<string | undefined> {
    return withFileErrors('open', this.#path, async () => (await this.#find())?.etag);
  }

  /** A file has no list of its blocks: all of it is read. */
  blocks(): Promise<FileBlocks | undefined> {
    return withFileErrors('read', this.#path, async () => {
      const found = await this.#find();
      if (found === undefined) return undefined;
      const { etag, length } = found;
      if (this.#blocks?.etag === etag) return this.#blocks;
      const buffer = Buffer.alloc(blockSize);
      const blocks: FileBlocks['blocks'] = [];
      for (const block of blocksOf(length)) {
        const into = buffer.subarray(0, block.to - block.from);
        await this.#read([{ at: block.from, into }], etag);
        blocks.push({ id: createHash('sha256').update(into).digest('base64url'), ...block });
      }
      this.#blocks = { etag, length, blocks };
      return this.#blocks;
    });
  }

  commit(content: FileContent, expected: { etag: string | 'absent' }): Promise<Commit> {
    const commit = this.#committing.then(() =>
      withFileErrors('write', this.#path, () => this.#commit(content, expected.etag)),
    );
    this.#committing = commit.catch(() => undefined);
    return commit;
  }

  async #commit(content: FileContent, expected: string): Promise<Commit> {
    const { length } = content;
    if (length === 0) throw new SyncError('An empty file is not a database', { object: this.#path });
    if (length > this.#maxBytes) throw this.#tooLarge(length);
    await this.#checkForeignJournal();
    const found = await this.#find();
    if ((found?.etag ?? 'absent') !== expected) throw this.#conflict();
    const changed = blocksOf(length).filter(
      ({ from, to }) => found === undefined || to > found.length || content.isChanged(from, to),
    );
    const blocks = Math.ceil(length / blockSize);
    if (found?.length === length && (await this.#holds(content, changed, found.etag))) {
      return { etag: found.etag, blocks, stagedBlocks: 0, stagedBytes: 0 };
    }
    const copy = this.#nextPath;
    await rm(copy, { force: true });
    try {
      if (found !== undefined) await copyFile(this.#path, copy, constants.COPYFILE_FICLONE);
      const handle = await open(copy, found === undefined ? 'wx' : 'r+', 0o600);
      let stagedBytes = 0;
      try {
        for (const { from, to } of changed) {
          const bytes = await content.read(from, to);
          await writeAll(handle, bytes, from);
          stagedBytes += bytes.length;
        }
        await handle.truncate(length);
        await handle.sync();
      } finally {
        await handle.close();
      }
      // Another program may have written to the file while it was copied.
      if ((await this.#find())?.etag !== found?.etag) throw this.#conflict();
      await this.#putInPlace(copy);
      return { etag: (await this.#find())!.etag, blocks, stagedBlocks: changed.length, stagedBytes };
    } catch (error) {
      await rm(copy, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** Whether the file has these stretches already. Most commits know at the first one. */
  async #holds(content: FileContent, stretches: readonly Stretch[], etag: string): Promise<boolean> {
    const stored = Buffer.alloc(blockSize);
    for (const { from, to } of stretches) {
      const into = stored.subarray(0, to - from);
      await this.#read([{ at: from, into }], etag);
      if (!into.equals(await content.read(from, to))) return false;
    }
    return true;
  }

  /** Windows replaces no file that another program has open: most close it soon. */
  async #putInPlace(copy: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await rename(copy, this.#path);
        break;
      } catch (error) {
        if (!['EPERM', 'EACCES', 'EBUSY'].includes(codeOf(error) ?? '') || tries === 10) throw error;
        await delay(100 * tries);
      }
    }
    // The name is on the disk once the folder is. Windows opens no folders.
    const folder = await open(dirname(this.#path), 'r').catch(() => undefined);
    await folder?.sync().catch(() => undefined);
    await folder?.close();
  }

  async #read(parts: readonly FilePart[], etag: string): Promise<void> {
    const handle = await open(this.#path, 'r').catch((error: unknown) => {
      throw codeOf(error) === 'ENOENT' ? this.#conflict() : error;
    });
    try {
      for (const { at, into } of parts) {
        for (let done = 0; done < into.length; ) {
          const { bytesRead } = await handle.read(into, done, into.length - done, at + done);
          if (bytesRead === 0) throw this.#conflict();
          done += bytesRead;
        }
      }
      // A program that writes into the file changes also what was read.
      if (etagOf(await handle.stat({ bigint: true })) !== etag) throw this.#conflict();
    } finally {
      await handle.close();
    }
  }

  async #find(): Promise<{ etag: string; length: number } | undefined> {
    try {
      const found = await stat(this.#path, { bigint: true });
      // An empty file is no database yet, for SQLite as well.
      if (found.size === 0n) return undefined;
      return { etag: etagOf(found), length: Number(found.size) };
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /**
   * A journal belongs to one state of the file. SQLite would apply that of another program to the state that takes its place.
   * @throws ConfigurationError if there is one
   */
  async #checkForeignJournal(): Promise<void> {
    for (const ending of ['-wal', '-journal']) {
      const journal = `${this.#path}${ending}`;
      const found = await stat(journal).catch(() => undefined);
      if (found === undefined || found.size === 0) continue;
      throw new ConfigurationError(`Another program writes to ${this.#path}: there is ${journal}.`, {
        operation: 'open',
        object: this.#path,
        hint: 'Close that program. Should the file remain, open the database in the sqlite3 shell once, with .tables, and close it.',
      });
    }
  }

  #conflict(): ConflictError {
    return new ConflictError(`Another program changed ${this.#path}.`, {
      operation: 'write',
      object: this.#path,
      hint: 'Read it again and repeat the work.',
    });
  }

  #tooLarge(length: number): ConfigurationError {
    return new ConfigurationError(
      `${this.#path} has ${length} bytes, more than the limit of ${this.#maxBytes}.`,
      {
        operation: 'open',
        object: this.#path,
        hint: 'Raise SYNC_DATABASE_MAX_MB, or sync fewer tables or columns.',
      },
    );
  }
}

interface Stretch {
  from: number;
  to: number;
}

function blocksOf(length: number): Stretch[] {
  const count = Math.ceil(length / blockSize);
  return Array.from({ length: count }, (_, n) => ({
    from: n * blockSize,
    to: Math.min(length, (n + 1) * blockSize),
  }));
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}
