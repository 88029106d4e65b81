import { emptyDatabase } from '../../../sqlite/empty-database.ts';
import { PagedFile } from '../../../sqlite/paged/paged-file.ts';
import { allocateChunks, ResidentChunks } from '../../../sqlite/paged/resident-chunks.ts';
import type { Sqlite } from '../../../sqlite/sqlite.ts';
import { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import type { DatabaseFile, StoredFile } from '../../../storage/database/database-file.ts';
import type { DatabaseReport } from '../../state.ts';
import { DatabaseWork, type Work } from '../database-work.ts';
import { contentOf } from './changed-content.ts';
import type { KeptDatabase } from './open-database.ts';

/** A database that is in memory as a whole. */
export class WholeDatabase implements KeptDatabase {
  readonly work: Work;
  readonly #db: SqliteDatabase;
  readonly #file: DatabaseFile;
  readonly #paged: PagedFile;
  readonly #chunks: ResidentChunks;
  readonly isSmall = true;
  length: number;

  etag: string | undefined;

  private constructor(
    { sqlite, file, maxBytes }: WholeOptions,
    bytes: Uint8Array,
    stored: { etag: string; length: number } | undefined,
  ) {
    this.#file = file;
    this.#chunks = new ResidentChunks(bytes);
    this.#paged = new PagedFile(this.#chunks, stored?.length ?? emptyDatabase(sqlite.sqlJs).length);
    this.#db = SqliteDatabase.open(sqlite, undefined, { maxBytes, file: this.#paged });
    this.work = new DatabaseWork(this.#db);
    this.etag = stored?.etag;
    this.length = stored?.length ?? 0;
  }

  /** @param stored undefined for a new database */
  static async open(options: WholeOptions, stored: StoredFile | undefined): Promise<WholeDatabase> {
    const empty = emptyDatabase(options.sqlite.sqlJs);
    const bytes = allocateChunks(stored?.length ?? empty.length);
    if (stored === undefined) bytes.set(empty);
    else await stored.read([{ at: 0, into: bytes.subarray(0, stored.length) }]);
    return new WholeDatabase(options, bytes, stored);
  }

  async store(): Promise<DatabaseReport> {
    const { length } = this.#paged;
    if (length !== Math.max(this.length, this.#db.byteLength))
      throw new Error('SQLite left the file that would be stored');
    const content = contentOf(
      length,
      (chunk) => this.#chunks.isChanged(chunk),
      (chunk) => this.#chunks.get(chunk),
    );
    const { etag, stagedBlocks, stagedBytes } = await this.#file.commit(content, {
      etag: this.etag ?? 'absent',
    });
    this.#chunks.stored();
    this.etag = etag;
    this.length = length;
    return { bytes: length, stagedBlocks, stagedBytes, etag };
  }

  close(): void {
    this.#db.close();
  }
}

export interface WholeOptions {
  sqlite: Sqlite;
  file: DatabaseFile;
  /** The largest file, in bytes. */
  maxBytes: number;
}
