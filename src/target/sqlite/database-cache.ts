import type { Sqlite } from '../../sqlite/sqlite.ts';
import { SqliteDatabase } from '../../sqlite/sqlite-database.ts';
import type { DatabaseBlob } from '../../storage/database-blob.ts';

/**
 * The database in memory, kept between invocations of a warm instance together with the ETag it was read or
 * committed with. Opening takes it out: whoever changes it and fails must not leave a half-changed copy behind.
 */
export class DatabaseHolder {
  readonly #blob: DatabaseBlob;
  readonly #sqlite: Sqlite;
  readonly #maxBytes: number;
  #kept: { db: SqliteDatabase; etag: string } | undefined;

  constructor(blob: DatabaseBlob, sqlite: Sqlite, maxBytes: number) {
    this.#blob = blob;
    this.#sqlite = sqlite;
    this.#maxBytes = maxBytes;
  }

  /**
   * The database as it stands in Blob storage; a new empty one, without ETag, where there is none.
   * @param reserveBytes room for a new file to grow in: without it sql.js copies the file at each step of its growth
   */
  async open(reserveBytes = 0): Promise<{ db: SqliteDatabase; etag: string | undefined }> {
    const kept = this.#kept;
    this.#kept = undefined;
    const loaded = await this.#blob.load(kept?.etag);
    if (loaded === 'unchanged' && kept !== undefined) return kept;
    kept?.db.close();
    const options = { maxBytes: this.#maxBytes };
    if (loaded === 'absent' || loaded === 'unchanged') {
      return {
        db: SqliteDatabase.open(this.#sqlite, undefined, { ...options, capacity: reserveBytes }),
        etag: undefined,
      };
    }
    return { db: SqliteDatabase.open(this.#sqlite, loaded.bytes, options), etag: loaded.etag };
  }

  /** Keeps a database that is equal to the blob with this ETag. */
  putBack(db: SqliteDatabase, etag: string | undefined): void {
    this.#kept?.db.close();
    this.#kept = etag === undefined ? undefined : { db, etag };
    if (etag === undefined) db.close();
  }
}
