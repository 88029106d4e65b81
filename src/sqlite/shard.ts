import { RecordWriter, type RecordWriterOptions } from './record-writer.ts';
import type { Sqlite } from './sqlite.ts';
import { SqliteDatabase } from './sqlite-database.ts';

/** Enough for most slices. A larger shard is copied as it grows. */
const capacity = 64 * 1024 * 1024;

/**
 * The rows of one slice of a table: a small database in memory, to merge into the mirror. Its tables have no key and no
 * index: a row that was received twice is in it twice, the later one with the greater rowid. Each row has a `_version`
 * beside its columns. The table `deleted(id)` has the ids of deleted rows.
 */
export class Shard {
  readonly db: SqliteDatabase;
  readonly #writers: RecordWriter[] = [];

  private constructor(db: SqliteDatabase) {
    this.db = db;
  }

  static create(sqlite: Sqlite): Shard {
    return new Shard(SqliteDatabase.open(sqlite, undefined, { locking: 'normal', capacity }));
  }

  /** Creates the table `name` and returns a writer for it. */
  recordWriter(name: string, options: RecordWriterOptions): RecordWriter {
    const writer = new RecordWriter(this.db, name, options);
    this.#writers.push(writer);
    return writer;
  }

  /** The database file. It is not a copy: do not write to the shard after this. */
  export(): Uint8Array {
    return this.db.export();
  }

  close(): void {
    for (const writer of this.#writers) writer.finish();
    this.db.close();
  }
}
