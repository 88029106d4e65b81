import type { Sqlite } from '../../sqlite/sqlite.ts';
import { SqliteDatabase } from '../../sqlite/sqlite-database.ts';
import type { DatabaseFile } from '../../storage/database-file.ts';
import type { DatabaseReport } from '../state.ts';

/** The database while one writer changes it. */
export interface DatabaseChange {
  readonly db: SqliteDatabase;
  /** Of the state that was loaded; undefined if the database is new. */
  readonly etag: string | undefined;
  /** Stores the database as it is. Nothing may change it afterwards. @throws ConflictError */
  commit(): Promise<DatabaseReport>;
  /** Without a commit: the database still equals the file, and is kept in memory. */
  keep(): void;
}

/**
 * Opens the database in memory, and keeps it there between invocations as long as it equals the stored file. A warm
 * instance downloads it only when another instance has committed. Whatever happens to the work, its database is kept or
 * closed: sql.js holds the memory of a database until `close`.
 */
export class DatabaseCache {
  readonly #file: DatabaseFile;
  readonly #sqlite: Sqlite;
  readonly #maxBytes: number;
  /** The database that nobody works on now, and the state of the file that it equals. */
  #kept: { db: SqliteDatabase; etag: string } | undefined;

  constructor(file: DatabaseFile, sqlite: Sqlite, maxBytes: number) {
    this.#file = file;
    this.#sqlite = sqlite;
    this.#maxBytes = maxBytes;
  }

  /** Reads the present state. @returns undefined if there is no database yet */
  async read<T>(work: (db: SqliteDatabase, etag: string) => T): Promise<T | undefined> {
    return this.#use(0, async (opened) => {
      const { db, etag } = opened;
      if (etag === undefined) return undefined;
      const result = work(db, etag);
      opened.equals = etag;
      return result;
    });
  }

  /**
   * Changes the present state, or a new empty database. Without `commit`, the changes are gone.
   * @param reserveBytes memory for a new database to grow in; without it sql.js copies the file each time it grows
   */
  change<T>(work: (change: DatabaseChange) => Promise<T>, reserveBytes = 0): Promise<T> {
    return this.#use(reserveBytes, (opened) => {
      const { db, etag } = opened;
      const commit = async (): Promise<DatabaseReport> => {
        const bytes = db.export();
        const committed = await this.#file.commit(bytes, { etag: etag ?? 'absent' });
        opened.equals = committed.etag;
        const { stagedBlocks, stagedBytes } = committed;
        return { bytes: bytes.byteLength, stagedBlocks, stagedBytes, etag: committed.etag };
      };
      const keep = (): void => {
        opened.equals = etag;
      };
      return work({ db, etag, commit, keep });
    });
  }

  async #use<T>(reserveBytes: number, work: (opened: Opened) => Promise<T>): Promise<T> {
    const opened: Opened = await this.#open(reserveBytes);
    try {
      const result = await work(opened);
      if (opened.equals !== undefined) this.#keep(opened.db, opened.equals);
      return result;
    } finally {
      if (this.#kept?.db !== opened.db) opened.db.close();
    }
  }

  /** Takes the kept database out, or loads the present state. */
  async #open(reserveBytes: number): Promise<Opened> {
    const kept = this.#kept;
    this.#kept = undefined;
    const loaded = await this.#file.load(kept?.etag).catch((error: unknown) => {
      if (kept !== undefined) this.#keep(kept.db, kept.etag);
      throw error;
    });
    if (loaded === 'unchanged' && kept !== undefined) return { ...kept };
    kept?.db.close();
    const { bytes, etag } = typeof loaded === 'string' ? {} : loaded;
    const db = SqliteDatabase.open(this.#sqlite, bytes, {
      maxBytes: this.#maxBytes,
      capacity: reserveBytes,
    });
    return { db, etag };
  }

  #keep(db: SqliteDatabase, etag: string): void {
    this.#kept?.db.close();
    this.#kept = { db, etag };
  }
}

interface Opened {
  db: SqliteDatabase;
  etag: string | undefined;
  /** The state of the file that the database equals, once the work has proved it. */
  equals?: string;
}
