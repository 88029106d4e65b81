import { anyOf, quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import { andLive, deletedAtColumn, hasMarks, rawJsonColumn } from '../../common/mirror-table.ts';
import type { ChangesTable } from '../tables/changes-table.ts';
import { countRows } from './count-rows.ts';
import { deleteRows } from './delete-rows.ts';
import { openHistory } from './history.ts';

/** What a merge did to a table. */
export interface MergeCounts {
  added: number;
  updated: number;
  deleted: number;
  /** Rows in the table afterwards, without those marked as deleted. */
  rows: number;
  /** Deletes that were held back because they exceed the limit. */
  heldBack: number;
  /** Swept ids that the table lacks, or has in another version or with another value of a compared column. */
  outdated: string[];
  /** How many of them the table has in the same version. */
  otherValues: number;
  /** Rows that a sweep of all keys lacks and that no tombstone names. */
  absent: number;
  /** Rows with a lower version in a shard than in the table before this merge. */
  movedBack: number;
  /** Whether the history table was created or got other columns. */
  historyChanged: boolean;
}

export interface MergeOptions {
  runId: string;
  /** The time of the merge for history, tombstones and marks: ISO 8601, UTC. */
  at: string;
  history: boolean;
  /** The history was not kept until now, or it is not known whether it was. */
  startHistory: boolean;
  /** Rows in the table before; those only marked as deleted do not count. */
  rowsBefore: number;
  /** Count the rows afterwards, and compare the count with what was added and deleted. */
  isCounted: boolean;
  /** Brings the rows with these ids into memory, if they are not. */
  prefetch?: ((ids: readonly string[]) => void) | undefined;
  /** Keep the ids of the rows in `temp.merged`, which exists then. */
  keepsIds?: boolean;
  /** Notes which rows change, if that is wanted. */
  changes?: ChangesTable | undefined;
  /** The share of the rows that may be deleted at once. Tables of fewer than 20 rows are exempt. */
  massDeleteLimit: number;
  /** Whether rows absent from the shards are deleted rows. */
  complete: boolean;
  /** Whose keys the `keys` tables of the shards have: all of the table (`all`), those of some ids, or none. */
  keys: 'all' | readonly string[] | undefined;
}

/** One shard of a table, and whether it belongs to the read that counts as complete. */
export interface ShardPart {
  open: () => Promise<SqliteDatabase>;
  final: boolean;
}

/**
 * Merges the shards of a table in order: rows first, then deletes. It writes only rows that differ, so an unchanged row
 * touches no block of the file.
 */
export async function mergeTable(
  db: SqliteDatabase,
  table: Table,
  shards: readonly ShardPart[],
  options: MergeOptions,
): Promise<MergeCounts> {
  const merger = new TableMerger(db, table, options);
  for (const [index, shard] of shards.entries()) {
    const opened = await shard.open();
    try {
      merger.merge(opened, shard.final, index === shards.length - 1);
    } finally {
      opened.close();
    }
  }
  return merger.finish();
}

const maxPrefetch = 20_000;

class TableMerger {
  readonly #db: SqliteDatabase;
  readonly #options: MergeOptions;
  readonly #table: Table;
  readonly #name: string;
  readonly #key: string;
  readonly #columns: string[];
  readonly #rowsBefore: number;
  readonly #history: ReturnType<typeof openHistory> | undefined;
  /** Quoted names of the columns that have an index. */
  readonly #indexed: ReadonlySet<string>;
  #movedBack = 0;
  #added = 0;
  #updated = 0;

  constructor(db: SqliteDatabase, table: Table, options: MergeOptions) {
    this.#db = db;
    this.#options = options;
    this.#table = table;
    this.#name = `main.${quote(table.name)}`;
    this.#key = quote(table.primaryKey);
    this.#columns = table.columns.map((column) => column.name).filter((name) => name !== deletedAtColumn);
    this.#rowsBefore = options.rowsBefore;
    const indexed = db.all<{ name: string }>(
      'SELECT c.name FROM pragma_index_list(?) AS i, pragma_index_info(i.name) AS c WHERE c.name IS NOT NULL',
      [table.name],
    );
    this.#indexed = new Set(indexed.map(({ name }) => quote(name)));
    this.#history = options.history
      ? openHistory(db, table, options.at, { compare: options.startHistory })
      : undefined;
    // What the shards say about existence, collected before anything is deleted: ids of deleted rows, ids of received
    // rows, swept keys with their versions, and those of them whose rows have other values.
    db.exec(`DROP TABLE IF EXISTS temp.gone; CREATE TEMP TABLE gone (id TEXT PRIMARY KEY);
      DROP TABLE IF EXISTS temp.written; CREATE TEMP TABLE written (id TEXT PRIMARY KEY);
      DROP TABLE IF EXISTS temp.received; CREATE TEMP TABLE received (id TEXT PRIMARY KEY);
      DROP TABLE IF EXISTS temp.swept; CREATE TEMP TABLE swept (id TEXT PRIMARY KEY, version TEXT);
      DROP TABLE IF EXISTS temp.differing; CREATE TEMP TABLE differing (id TEXT PRIMARY KEY);`);
  }

  merge(shard: SqliteDatabase, final: boolean, isLast: boolean): void {
    const db = this.#db;
    db.attach(shard, 'shard');
    try {
      if (this.#rowsBefore > 0) this.#options.prefetch?.(this.#idsOfShard());
      db.transaction(() => {
        this.#upsert(isLast);
        if (this.#options.complete && final) {
          db.run(`INSERT OR IGNORE INTO temp.received SELECT ${this.#key} FROM shard.rows`);
        }
        // A later shard can restore a row. Within a shard deletes come after rows.
        db.run(`DELETE FROM temp.gone WHERE id IN (SELECT ${this.#key} FROM shard.rows)`);
        db.run('INSERT OR IGNORE INTO temp.gone SELECT id FROM shard.deleted');
        if (this.#options.keys !== undefined && db.hasTable('keys', 'shard')) {
          db.run(`INSERT OR REPLACE INTO temp.swept SELECT ${this.#key}, _version FROM shard.keys`);
          this.#compareValues();
        }
      });
    } finally {
      db.detach('shard');
    }
  }

  /** The ids of rows and deletes, unless they are so many that most pages are needed anyway. */
  #idsOfShard(): string[] {
    const sql = `SELECT ${this.#key} AS id FROM shard.rows UNION ALL SELECT id FROM shard.deleted LIMIT ${maxPrefetch + 1}`;
    const ids = this.#db.all<{ id: string }>(sql).map(({ id }) => id);
    return ids.length > maxPrefetch ? [] : ids;
  }

  /** Compares the values that a sweep read beside the keys. Rows come before the sweep, so the table has the latest. */
  #compareValues(): void {
    const swept = this.#db.all<{ name: string }>("SELECT name FROM pragma_table_info('keys', 'shard')");
    const names = new Set(swept.map(({ name }) => name));
    const compared = this.#columns.filter((name) => names.has(name) && name !== this.#table.primaryKey);
    if (compared.length === 0) return;
    const terms = compared.map((name) => `t.${quote(name)} IS NOT k.${quote(name)}`);
    this.#db.run(`INSERT OR IGNORE INTO temp.differing SELECT k.${this.#key} FROM shard.keys k
      JOIN ${this.#name} t ON t.${this.#key} = k.${this.#key} WHERE ${anyOf(terms)}`);
  }

  #upsert(isLast: boolean): void {
    const db = this.#db;
    const key = this.#key;
    const { total, ids } = db.get<{ total: number; ids: number }>(
      `SELECT count(*) AS total, count(DISTINCT ${key}) AS ids FROM shard.rows`,
    )!;
    if (total === 0) return;
    if (total > ids) this.#dropDuplicates();
    const isLive = `(true${andLive(this.#table, 't')})`;
    const { present, known, lower } = db.get<{ present: number; known: number; lower: number }>(
      `SELECT count(*) AS present, coalesce(sum(${isLive}), 0) AS known,
         coalesce(sum(${isLive} AND ${this.#isLower('s._version')}
           AND t.${key} NOT IN (SELECT id FROM temp.written)), 0) AS lower
       FROM shard.rows s JOIN ${this.#name} t ON t.${key} = s.${key}`,
    )!;
    this.#movedBack += lower;
    // Pages can show a row twice, so a later shard may have a version that an earlier one has replaced.
    if (!isLast && this.#rowsBefore > 0) {
      db.run(`INSERT OR IGNORE INTO temp.written SELECT ${key} FROM shard.rows`);
    }
    this.#history?.record(this.#changedCondition('t', 's'));
    this.#options.changes?.record(
      this.#table.logicalName,
      `SELECT s.${key} AS id FROM shard.rows s WHERE NOT EXISTS (SELECT 1 FROM ${this.#name} t
         WHERE t.${key} = s.${key} AND NOT ${this.#changedCondition('t', 's')})`,
    );
    const names = this.#columns.map(quote);
    const values = names.filter((name) => name !== key);
    // SQLite writes an index anew for each column that is named here, also if its value stays.
    const indexed = values.filter((name) => this.#indexed.has(name));
    const apart = indexed.length < values.length ? indexed : [];
    const assignments = values
      .filter((name) => !apart.includes(name))
      .map((name) => `${name} = excluded.${name}`);
    if (hasMarks(this.#table)) assignments.push(`${quote(deletedAtColumn)} = NULL`);
    const action =
      assignments.length === 0
        ? 'DO NOTHING'
        : `DO UPDATE SET ${assignments.join(', ')} WHERE ${this.#changedCondition(quote(this.#table.name), 'excluded')}`;
    db.run(
      `INSERT INTO ${this.#name} (${names.join(', ')}) SELECT ${names.join(', ')} FROM shard.rows WHERE true
       ORDER BY rowid ON CONFLICT (${key}) ${action}`,
    );
    const written = db.changes;
    // Rows that were marked as deleted are there, and come back.
    if (written > ids - present) this.#updateIndexed(apart);
    const added = ids - known;
    this.#added += added;
    this.#updated += written - added;
    db.run(`DELETE FROM _sync_deleted WHERE table_name = ? AND id IN (SELECT ${key} FROM shard.rows)`, [
      this.#table.name,
    ]);
    if (this.#options.keepsIds) {
      db.run(`INSERT OR IGNORE INTO temp.merged SELECT ?, ${key} FROM shard.rows`, [this.#table.logicalName]);
    }
  }

  /** Updates the columns with an index, only in rows where they differ. */
  #updateIndexed(names: readonly string[]): void {
    if (names.length === 0) return;
    const assignments = names.map((name) => `${name} = s.${name}`);
    const differ = anyOf(names.map((name) => `t.${name} IS NOT s.${name}`));
    this.#db.run(`UPDATE ${this.#name} AS t SET ${assignments.join(', ')} FROM shard.rows AS s
      WHERE t.${this.#key} = s.${this.#key} AND ${differ}`);
  }

  /**
   * The condition that a version in a shard is lower than that of the row `t`. SQLite's integers have 64 bits, as row
   * versions do. ETags of tables without `versionnumber`, such as virtual ones, are text and say nothing.
   */
  #isLower(version: string): string {
    const column = this.#table.versionColumn;
    // Without rows before, those in the table are of this merge.
    if (column === undefined || this.#rowsBefore === 0) return 'false';
    const known = `t.${quote(column)}`;
    return `(typeof(${known}) = 'integer' AND ${version} <> '' AND ${version} NOT GLOB '*[^0-9]*'
      AND CAST(${version} AS INTEGER) < ${known})`;
  }

  /** Dynamic paging can return a row twice. Keeps the greatest version, and the last row of equal versions. */
  #dropDuplicates(): void {
    this.#db.run(
      `DELETE FROM shard.rows WHERE rowid IN (SELECT rowid FROM (
         SELECT rowid, row_number() OVER (PARTITION BY ${this.#key}
           ORDER BY CAST(_version AS INTEGER) DESC, rowid DESC) AS place FROM shard.rows) WHERE place > 1)`,
    );
  }

  #changedCondition(existing: string, incoming: string): string {
    const { primaryKey, versionColumn } = this.#table;
    const compared = this.#columns.filter((name) => name !== primaryKey && name !== rawJsonColumn);
    // The version first: it differs whenever Dataverse wrote the row, so most comparisons end there.
    compared.sort((a, b) => Number(b === versionColumn) - Number(a === versionColumn));
    const terms = compared.map((name) => `${existing}.${quote(name)} IS NOT ${incoming}.${quote(name)}`);
    // Rows from before `rawJson` was turned on lack their records.
    if (this.#columns.includes(rawJsonColumn)) terms.push(`${existing}.${quote(rawJsonColumn)} IS NULL`);
    if (hasMarks(this.#table)) terms.push(`${existing}.${quote(deletedAtColumn)} IS NOT NULL`);
    return anyOf(terms);
  }

  finish(): MergeCounts {
    const db = this.#db;
    const result = db.transaction(() => {
      const compared = this.#compareKeys();
      if (this.#options.complete) this.#addAbsent('temp.received');
      return { ...compared, ...this.#delete() };
    });
    db.exec(
      'DROP TABLE temp.gone; DROP TABLE temp.written; DROP TABLE temp.received; DROP TABLE temp.swept; DROP TABLE temp.differing;',
    );
    const rows = this.#rowsBefore + this.#added - result.deleted;
    const counted = this.#options.isCounted ? countRows(db, this.#table) : rows;
    if (counted !== rows) {
      throw new Error(`Merging ${this.#table.name} left ${counted} rows instead of ${rows}.`);
    }
    const historyChanged = this.#history?.isChanged === true;
    return {
      added: this.#added,
      updated: this.#updated,
      rows,
      historyChanged,
      movedBack: this.#movedBack,
      ...result,
    };
  }

  /** Rows whose keys the sweep did not find are deleted. Returns the keys that the table lacks or has otherwise. */
  #compareKeys(): Pick<MergeCounts, 'outdated' | 'otherValues' | 'absent'> {
    const { keys } = this.#options;
    if (keys === undefined) return { outdated: [], otherValues: 0, absent: 0 };
    const db = this.#db;
    let absent = 0;
    if (keys === 'all') {
      // The sweep came after the tombstones: such a row exists again, and is read again.
      db.run(
        'INSERT OR IGNORE INTO temp.differing SELECT id FROM temp.gone WHERE id IN (SELECT id FROM temp.swept)',
      );
      db.run('DELETE FROM temp.gone WHERE id IN (SELECT id FROM temp.swept)');
      absent = this.#addAbsent('temp.swept');
    } else {
      for (const id of keys) {
        if (db.get('SELECT 1 FROM temp.swept WHERE id = ?', [id]) === undefined) {
          db.run('INSERT OR IGNORE INTO temp.gone VALUES (?)', [id]);
        }
      }
    }
    this.#movedBack += db.get<{ n: number }>(
      `SELECT count(*) AS n FROM temp.swept k JOIN ${this.#name} t ON t.${this.#key} = k.id
       WHERE ${this.#isLower('k.version')}${andLive(this.#table, 't')}`,
    )!.n;
    const version = this.#table.versionColumn;
    const differs = version === undefined ? '' : ` OR CAST(t.${quote(version)} AS TEXT) IS NOT k.version`;
    const marked = hasMarks(this.#table) ? ` OR t.${quote(deletedAtColumn)} IS NOT NULL` : '';
    const missed = db.all<{ id: string }>(
      `SELECT k.id FROM temp.swept k LEFT JOIN ${this.#name} t ON t.${this.#key} = k.id
       WHERE t.${this.#key} IS NULL${differs}${marked}`,
    );
    const outdated = new Set(missed.map(({ id }) => id));
    for (const { id } of db.all<{ id: string }>('SELECT id FROM temp.differing')) outdated.add(id);
    return { outdated: [...outdated], otherValues: outdated.size - missed.length, absent };
  }

  /** Adds the rows that a list of all existing ids lacks to the deleted ones. @returns how many it added */
  #addAbsent(existing: string): number {
    this.#db.run(`INSERT OR IGNORE INTO temp.gone SELECT ${this.#key} FROM ${this.#name}
      WHERE ${this.#key} NOT IN (SELECT id FROM ${existing})${andLive(this.#table)}`);
    return this.#db.changes;
  }

  #delete(): { deleted: number; heldBack: number } {
    const { runId, at, massDeleteLimit } = this.#options;
    return deleteRows(this.#db, this.#table, 'SELECT id FROM temp.gone', {
      runId,
      at,
      massDeleteLimit,
      rowsBefore: this.#rowsBefore,
      mark: true,
      changes: this.#options.changes,
      history: this.#history,
    });
  }
}
