import { ConflictError } from '../../../errors.ts';
import type { Sqlite } from '../../../sqlite/sqlite.ts';
import type { DatabaseFile } from '../../../storage/database/database-file.ts';
import type { KeptDatabase, OpenDatabase } from './open-database.ts';
import { PagedDatabase } from './paged-database.ts';
import { WholeDatabase } from './whole-database.ts';

export interface MirrorDatabaseOptions {
  file: DatabaseFile;
  sqlite: Sqlite;
  /** The largest database, in bytes. */
  maxBytes: number;
  /** The memory for the database, in bytes: a smaller one is held as a whole, of a larger one the parts in use. */
  cacheBytes: number;
  /** Tables with more rows are large, in a database that is not in memory as a whole. */
  scanRows?: number | undefined;
}

/** How much larger rows are in the database than in their shards, at most: it has indexes. */
const growth = 3;
const readTries = 3;

/**
 * Opens the database, and keeps it open between invocations as long as it equals the stored file. A warm instance
 * downloads it again only when another instance has committed. Whatever happens to the work, its database is kept or
 * closed: SQLite holds the memory of a database until then.
 */
export class MirrorDatabase {
  readonly #options: MirrorDatabaseOptions;
  #isRetired = false;
  /** The database that nobody works on now. */
  #kept: KeptDatabase | undefined;

  constructor(options: MirrorDatabaseOptions) {
    this.#options = options;
  }

  /** Reads the present state. @returns undefined if there is no database yet */
  async read<T>(work: (open: OpenDatabase) => Promise<T>): Promise<T | undefined> {
    if (this.#kept === undefined && (await this.#options.file.currentEtag()) === undefined) return undefined;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.change(async (open) => {
          if (open.etag === undefined) return undefined;
          const result = await work(open);
          open.keep();
          return result;
        });
      } catch (error) {
        // Another writer replaced the file between two parts of it.
        if (!(error instanceof ConflictError) || tries === readTries) throw error;
      }
    }
  }

  /**
   * Changes the present state, or a new empty database. Without `store`, the changes are gone.
   * @param incomingBytes the size of what will be merged
   */
  async change<T>(work: (open: OpenDatabase) => Promise<T>, incomingBytes = 0): Promise<T> {
    const open = await this.begin(incomingBytes);
    let isDone = false;
    try {
      const result = await work(open);
      isDone = true;
      return result;
    } finally {
      await open.end(isDone);
    }
  }

  /**
   * Opens the present state, or a new empty database, until `end`.
   * @param incomingBytes the size of what will be merged
   */
  async begin(incomingBytes = 0): Promise<OpenDatabase & { end(isDone: boolean): Promise<void> }> {
    const database = await this.#open(incomingBytes);
    let isCurrent = false;
    const { work, etag, isSmall, length } = database;
    return {
      ...{ work, etag, isSmall, length },
      keep: () => {
        isCurrent = true;
      },
      store: async () => {
        const report = await database.store();
        isCurrent = true;
        return report;
      },
      end: async (isDone) => {
        if (isDone && isCurrent && !this.#isRetired) this.#keep(database);
        if (this.#kept !== database) await database.close();
      },
    };
  }

  /** Gives the memory back. */
  async close(): Promise<void> {
    await this.#kept?.close();
    this.#kept = undefined;
  }

  /** Gives the memory back, also that of a database that is still worked on, once that ends. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    await this.close();
  }

  /** Takes the kept database out, or opens the present state. */
  async #open(incomingBytes: number): Promise<KeptDatabase> {
    const { file, sqlite, maxBytes, cacheBytes, scanRows } = this.#options;
    const kept = this.#kept;
    this.#kept = undefined;
    const found = await file.open(kept?.etag).catch((error: unknown) => {
      if (kept !== undefined) this.#keep(kept);
      throw error;
    });
    const isLarge = (length: number) => length + growth * incomingBytes > cacheBytes;
    if (found === 'unchanged' && kept !== undefined) {
      if (kept.etag === undefined || !kept.isSmall || !isLarge(kept.length)) return kept;
    }
    await kept?.close();
    let stored = typeof found === 'string' ? undefined : found;
    if (found === 'unchanged' && kept?.etag !== undefined) stored = file.state(kept.etag, kept.length);
    if (isLarge(stored?.length ?? 0))
      return new PagedDatabase({ file, maxBytes, cacheBytes, scanRows }, stored);
    return WholeDatabase.open({ sqlite, file, maxBytes }, stored);
  }

  #keep(database: KeptDatabase): void {
    if (this.#kept !== database) void this.#kept?.close();
    this.#kept = database;
  }
}
