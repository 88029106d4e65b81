import { SkipTableError } from '../errors.ts';
import { quoteIdentifier as quote } from '../schema/sql.ts';
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

  /**
   * Opens a shard to merge it. SQLite works in the bytes: the caller must not use them any more.
   * @throws SkipTableError if it contains anything but tables
   */
  static open(sqlite: Sqlite, bytes: Uint8Array): Shard {
    const db = SqliteDatabase.open(sqlite, bytes, { locking: 'normal' });
    const other = db.get<{ type: string }>("SELECT type FROM sqlite_master WHERE type <> 'table' LIMIT 1");
    if (other === undefined) return new Shard(db);
    db.close();
    // They would run code of whoever wrote the file.
    throw new SkipTableError(`A shard contains a ${other.type}, which this app did not write.`, {
      operation: 'open a shard',
      hint: 'Another program changed the work container. Check who may write there. The next run reads the rows again.',
    });
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

  /** The ids in `rows`. */
  rowIds(primaryKey: string): string[] {
    return this.db.all<{ id: string }>(`SELECT ${quote(primaryKey)} AS id FROM rows`).map((row) => row.id);
  }

  /**
   * The ids that rows after `lastRow` have in these columns, each once.
   * @param references `typeColumn`: the column with the table that the id belongs to, which may be NULL; only ids of
   * `target` are returned
   */
  references(
    references: readonly { column: string; typeColumn: string | undefined; target: string }[],
    lastRow: number,
  ): { ids: string[]; lastRow: number } {
    const ids = new Set<string>();
    for (const { column, typeColumn, target } of references) {
      const type = typeColumn === undefined ? '?' : `coalesce(${quote(typeColumn)}, ?)`;
      const sql = `SELECT DISTINCT ${quote(column)} AS id FROM rows
        WHERE rowid > ? AND ${quote(column)} IS NOT NULL AND ${type} = ?`;
      for (const { id } of this.db.all<{ id: string }>(sql, [lastRow, target, target])) ids.add(id);
    }
    const last = this.db.get<{ row: number | null }>('SELECT max(rowid) AS row FROM rows')?.row;
    return { ids: [...ids], lastRow: last ?? lastRow };
  }

  get deletedCount(): number {
    return this.db.get<{ n: number }>('SELECT count(*) AS n FROM deleted')!.n;
  }

  /** The ids in `deleted`. */
  deletedIds(): string[] {
    return this.db.all<{ id: string }>('SELECT id FROM deleted').map((row) => row.id);
  }

  addDeleted(ids: Iterable<string>): void {
    for (const id of ids) this.db.run('INSERT INTO deleted (id) VALUES (?)', [id]);
  }

  /** Removes ids from `rows` and from `deleted`. */
  remove(ids: Iterable<string>, primaryKey: string): void {
    for (const id of ids) {
      this.db.run('DELETE FROM deleted WHERE id = ?', [id]);
      this.db.run(`DELETE FROM rows WHERE ${quote(primaryKey)} = ?`, [id]);
    }
  }
}
