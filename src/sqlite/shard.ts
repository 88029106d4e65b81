import { SkipTableError } from '../errors.ts';
import { quoteIdentifier as quote } from '../schema/sql.ts';
import { TableCursor } from './file-format/table-cursor.ts';
import { RecordWriter, type RecordWriterOptions } from './record-writer.ts';
import { ShardFile } from './shard-file.ts';
import type { Sqlite } from './sqlite.ts';
import { SqliteDatabase } from './sqlite-database.ts';

/** In bytes. Larger pages would load no faster, and a shard of one row would be larger. */
const shardPageSize = 16384;

/**
 * The rows of one slice of a table: a small database in memory, to merge into the mirror. Its tables have no key and no
 * index: a row that was received twice is in it twice, the later one with the greater rowid. Each row has a `_version`
 * beside its columns. The table `deleted(id)` has the ids of deleted rows.
 *
 * A new shard is not written by SQLite: rows go from the page into the file's format at once (`ShardFile`). SQLite opens
 * the file when something is asked of it.
 */
export class Shard {
  readonly #sqlite: Sqlite;
  /** Undefined for a shard that was opened. */
  readonly #file: ShardFile | undefined;
  /** The bytes of one that was opened. */
  #bytes: Uint8Array | undefined;
  readonly #writers: RecordWriter[] = [];
  /** Ids whose rows up to this one are not in the shard any more. */
  readonly #removed: { ids: readonly string[]; primaryKey: string; lastRow: number }[] = [];
  #db: SqliteDatabase | undefined;

  private constructor(sqlite: Sqlite, content: ShardFile | SqliteDatabase) {
    this.#sqlite = sqlite;
    if (content instanceof ShardFile) this.#file = content;
    else this.#db = content;
  }

  static create(sqlite: Sqlite, options: { pageSize?: number; capacity?: number | undefined } = {}): Shard {
    return new Shard(sqlite, new ShardFile(options.pageSize ?? shardPageSize, options.capacity));
  }

  /**
   * Opens a shard to merge it. SQLite works in the bytes: the caller must not use them any more.
   * @throws SkipTableError if it contains anything but tables
   */
  static open(sqlite: Sqlite, bytes: Uint8Array): Shard {
    const db = SqliteDatabase.open(sqlite, bytes, { locking: 'normal' });
    const other = db.get<{ type: string }>("SELECT type FROM sqlite_master WHERE type <> 'table' LIMIT 1");
    if (other === undefined) {
      const shard = new Shard(sqlite, db);
      shard.#bytes = bytes;
      return shard;
    }
    db.close();
    // They would run code of whoever wrote the file.
    throw new SkipTableError(`A shard contains a ${other.type}, which this app did not write.`, {
      operation: 'open a shard',
      hint: 'Another program changed the work container. Check who may write there. The next run reads the rows again.',
    });
  }

  /** The shard as a database, for reading, until more is written. */
  get db(): SqliteDatabase {
    this.#db ??= this.#open();
    return this.#db;
  }

  hasTable(name: string): boolean {
    return this.db.hasTable(name);
  }

  /** The columns of a table, in order, with their declared types. */
  columnsOf(table: string): { name: string; type: string }[] {
    return this.db.all<{ name: string; type: string }>(
      'SELECT name, type FROM pragma_table_info(?) ORDER BY cid',
      [table],
    );
  }

  /** The rows of a table, straight from the bytes of a shard that was opened and that no statement has changed. */
  cursor(table: string): TableCursor {
    if (this.#bytes === undefined) throw new Error('Only a shard that was opened can be read so');
    const sql = `SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?`;
    const root = this.db.get<{ rootpage: number }>(sql, [table])?.rootpage ?? 0;
    return new TableCursor(this.#bytes, root, this.columnsOf(table).length);
  }

  #open(): SqliteDatabase {
    let bytes: Uint8Array = this.#new.finish();
    // SQLite changes the bytes, and the next rows go into them.
    if (this.#removed.length > 0) bytes = new Uint8Array(bytes);
    const db = SqliteDatabase.open(this.#sqlite, bytes, { locking: 'normal' });
    for (const { ids, primaryKey, lastRow } of this.#removed) {
      db.run(
        `DELETE FROM rows WHERE rowid <= ? AND ${quote(primaryKey)} IN (SELECT value FROM json_each(?))`,
        [lastRow, JSON.stringify(ids)],
      );
    }
    return db;
  }

  /** The file to write to, which nothing reads then. */
  get #new(): ShardFile {
    if (this.#file === undefined) throw new Error('A shard that was opened is not written to');
    this.#db?.close();
    this.#db = undefined;
    return this.#file;
  }

  /** Creates the table `name` and returns a writer for it. */
  recordWriter(name: string, options: RecordWriterOptions): RecordWriter {
    const writer = new RecordWriter(() => this.#new, name, options);
    this.#writers.push(writer);
    return writer;
  }

  /** A copy of the database file. */
  export(): Uint8Array {
    const isChanged = this.#removed.length > 0 || this.#file === undefined;
    const bytes = isChanged ? this.db.export() : this.#file.finish();
    const copy = Buffer.allocUnsafeSlow(bytes.length);
    copy.set(bytes);
    return copy;
  }

  close(): void {
    for (const writer of this.#writers) writer.finish();
    this.#db?.close();
    this.#file?.close();
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

  /** The ids in `deleted`. */
  deletedIds(): string[] {
    return this.db.all<{ id: string }>('SELECT id FROM deleted').map((row) => row.id);
  }

  get deletedCount(): number {
    return this.#file?.deleted.length ?? this.deletedIds().length;
  }

  addDeleted(ids: Iterable<string>): void {
    const { deleted } = this.#new;
    for (const id of ids) deleted.push(id);
  }

  /** Removes ids from `rows` and from `deleted`. */
  remove(ids: readonly string[], primaryKey: string): void {
    const file = this.#new;
    const removed = new Set(ids);
    file.deleted = file.deleted.filter((id) => !removed.has(id));
    const lastRow = file.rowsOf('rows');
    this.#removed.push({ ids, primaryKey, lastRow });
  }
}
