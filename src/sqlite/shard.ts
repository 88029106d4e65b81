import { RecordWriter, type RecordWriterOptions } from './record-writer.ts';
import type { Sqlite } from './sqlite.ts';
import { SqliteDatabase } from './sqlite-database.ts';

/** What most slices fit into; a greater shard is copied as it grows. */
const reserveBytes = 64 * 1024 * 1024;

/**
 * What one slice of a table's rows becomes: a small database in memory, to be merged into the mirror.
 * Its tables have no key and no index; a row that came twice stands there twice, the later one with the
 * greater rowid. Beside the columns each row has its `_version`. The table `deleted(id)` holds the ids of
 * rows that are gone.
 */
export class Shard {
  readonly db: SqliteDatabase;
  readonly #writers: RecordWriter[] = [];

  private constructor(db: SqliteDatabase) {
    this.db = db;
  }

  static create(sqlite: Sqlite): Shard {
    return new Shard(SqliteDatabase.open(sqlite, undefined, { locking: 'normal', reserveBytes }));
  }

  /** Opens a shard to merge it. The bytes are given away. */
  static open(sqlite: Sqlite, bytes: Uint8Array): Shard {
    return new Shard(SqliteDatabase.open(sqlite, bytes, { locking: 'normal' }));
  }

  /** Creates the table `name` and a writer for it. */
  recordWriter(name: string, options: RecordWriterOptions): RecordWriter {
    const writer = new RecordWriter(this.db, name, options);
    this.#writers.push(writer);
    return writer;
  }

  /** The database file, to be stored. It is no copy: write no more. */
  export(): Uint8Array {
    return this.db.export();
  }

  close(): void {
    for (const writer of this.#writers) writer.finish();
    this.db.close();
  }
}
