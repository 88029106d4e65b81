import { quoteIdentifier as quote } from '../../schema/sql.ts';
import type { Table } from '../../schema/table.ts';
import type { SqliteDatabase } from '../../sqlite/sqlite-database.ts';
import { openHistory } from './history.ts';
import { deletedAtColumn, rawJsonColumn } from './mirror-table.ts';

/** What merging did to one table. */
export interface MergeCounts {
  added: number;
  updated: number;
  deleted: number;
  /** Rows in the table afterwards; those only marked as deleted do not count. */
  rows: number;
  /** Deletes that were held back because they exceed the limit; 0 where none were. */
  heldBack: number;
  /** Ids that the key sweep shows as missing or of another version here. */
  missed: string[];
}

export interface MergeOptions {
  runId: string;
  /** The instant of the merge for history, tombstones and marks: ISO 8601, UTC. */
  at: string;
  history: boolean;
  /** The share of the table's rows that may be deleted at once; tables of fewer than 20 rows are exempt. */
  massDeleteLimit: number;
  /** Rows absent from the shards are deleted rows. */
  complete: boolean;
  /** The shards' `keys` are all keys of the table (`all`), or of the ids asked for (a list), or absent. */
  keys: 'all' | readonly string[] | undefined;
}

/** One shard of the entity, and whether it belongs to the read that counts as complete. */
export interface ShardPart {
  open: () => Promise<SqliteDatabase>;
  final: boolean;
}

/** Below this many rows a table may lose all of them: a share of so few says nothing. */
const massDeleteMinimumRows = 20;

/**
 * Merges the shards of one entity into its table, in order: rows first, then deletes. Only rows that differ are
 * written, so an unchanged row touches no block of the file.
 */
export async function mergeTable(
  db: SqliteDatabase,
  table: Table,
  shards: readonly ShardPart[],
  options: MergeOptions,
): Promise<MergeCounts> {
  const merger = new TableMerger(db, table, options);
  for (const shard of shards) {
    const opened = await shard.open();
    try {
      merger.merge(opened, shard.final);
    } finally {
      opened.close();
    }
  }
  return merger.finish();
}

class TableMerger {
  readonly #db: SqliteDatabase;
  readonly #options: MergeOptions;
  readonly #table: Table;
  readonly #name: string;
  readonly #key: string;
  readonly #columns: string[];
  readonly #marks: boolean;
  readonly #rowsBefore: number;
  readonly #history: ReturnType<typeof openHistory> | undefined;
  #added = 0;
  #updated = 0;

  constructor(db: SqliteDatabase, table: Table, options: MergeOptions) {
    this.#db = db;
    this.#options = options;
    this.#table = table;
    this.#name = `main.${quote(table.name)}`;
    this.#key = quote(table.primaryKey);
    this.#marks = table.columns.some((column) => column.name === deletedAtColumn);
    this.#columns = table.columns.map((column) => column.name).filter((name) => name !== deletedAtColumn);
    this.#rowsBefore = this.#countRows();
    this.#history = options.history ? openHistory(db, table, options.at) : undefined;
    // Ids only: what the shards say about presence and deletion, gathered before anything is deleted.
    db.exec(`DROP TABLE IF EXISTS temp.gone; CREATE TEMP TABLE gone (id TEXT PRIMARY KEY);
      DROP TABLE IF EXISTS temp.seen; CREATE TEMP TABLE seen (id TEXT PRIMARY KEY);
      DROP TABLE IF EXISTS temp.swept; CREATE TEMP TABLE swept (id TEXT PRIMARY KEY, version TEXT);`);
  }

  merge(shard: SqliteDatabase, final: boolean): void {
    const db = this.#db;
    db.attach(shard, 'shard');
    try {
      db.transaction(() => {
        this.#upsert();
        if (this.#options.complete && final)
          db.run(`INSERT OR IGNORE INTO temp.seen SELECT ${this.#key} FROM shard.rows`);
        // A row that a later shard brings back is no longer gone; a tombstone follows the rows of its own shard.
        db.run(`DELETE FROM temp.gone WHERE id IN (SELECT ${this.#key} FROM shard.rows)`);
        db.run('INSERT OR IGNORE INTO temp.gone SELECT id FROM shard.deleted');
        if (this.#options.keys !== undefined && hasTable(db, 'keys')) {
          db.run(`INSERT OR REPLACE INTO temp.swept SELECT ${this.#key}, _version FROM shard.keys`);
        }
      });
    } finally {
      db.detach('shard');
    }
  }

  #upsert(): void {
    const db = this.#db;
    const key = this.#key;
    const { total, ids } = db.get<{ total: number; ids: number }>(
      `SELECT count(*) AS total, count(DISTINCT ${key}) AS ids FROM shard.rows`,
    )!;
    if (total === 0) return;
    if (total > ids) this.#keepNewest();
    const live = this.#marks ? ` AND t.${quote(deletedAtColumn)} IS NULL` : '';
    const known = db.get<{ n: number }>(
      `SELECT count(*) AS n FROM shard.rows s JOIN ${this.#name} t ON t.${key} = s.${key}${live}`,
    )!.n;
    this.#history?.record(this.#changedCondition('t', 's'));
    const names = this.#columns.map(quote);
    const assignments = names.filter((name) => name !== key).map((name) => `${name} = excluded.${name}`);
    if (this.#marks) assignments.push(`${quote(deletedAtColumn)} = NULL`);
    const action =
      assignments.length === 0
        ? 'DO NOTHING'
        : `DO UPDATE SET ${assignments.join(', ')} WHERE ${this.#changedCondition(quote(this.#table.name), 'excluded')}`;
    db.run(
      `INSERT INTO ${this.#name} (${names.join(', ')}) SELECT ${names.join(', ')} FROM shard.rows WHERE true
       ORDER BY rowid ON CONFLICT (${key}) ${action}`,
    );
    const written = db.changes;
    const added = ids - known;
    this.#added += added;
    this.#updated += written - added;
    db.run(`DELETE FROM _sync_deleted WHERE table_name = ? AND id IN (SELECT ${key} FROM shard.rows)`, [
      this.#table.name,
    ]);
  }

  /** Dynamic paging may show a row twice; its greatest version stays, and of equal ones the last. */
  #keepNewest(): void {
    this.#db.run(
      `DELETE FROM shard.rows WHERE rowid IN (SELECT rowid FROM (
         SELECT rowid, row_number() OVER (PARTITION BY ${this.#key}
           ORDER BY CAST(_version AS INTEGER) DESC, rowid DESC) AS place FROM shard.rows) WHERE place > 1)`,
    );
  }

  #changedCondition(existing: string, incoming: string): string {
    const compared = this.#columns.filter(
      (name) => name !== this.#table.primaryKey && name !== rawJsonColumn,
    );
    const terms = compared.map((name) => `${existing}.${quote(name)} IS NOT ${incoming}.${quote(name)}`);
    // The version first: it differs whenever Dataverse wrote the row, so most comparisons end there.
    const version = this.#table.versionColumn;
    if (version !== undefined) {
      terms.sort(
        (a, b) => Number(b.includes(`.${quote(version)} `)) - Number(a.includes(`.${quote(version)} `)),
      );
    }
    // Rows from before `rawJson` was turned on lack their records.
    if (this.#columns.includes(rawJsonColumn)) terms.push(`${existing}.${quote(rawJsonColumn)} IS NULL`);
    if (this.#marks) terms.push(`${existing}.${quote(deletedAtColumn)} IS NOT NULL`);
    return terms.length === 0 ? '0' : `(${terms.join(' OR ')})`;
  }

  finish(): MergeCounts {
    const db = this.#db;
    const result = db.transaction(() => {
      const missed = this.#compareKeys();
      if (this.#options.complete) {
        db.run(`INSERT OR IGNORE INTO temp.gone SELECT ${this.#key} FROM ${this.#name}
          WHERE ${this.#key} NOT IN (SELECT id FROM temp.seen)`);
      }
      return { missed, ...this.#delete() };
    });
    db.exec('DROP TABLE temp.gone; DROP TABLE temp.seen; DROP TABLE temp.swept;');
    const rows = this.#countRows();
    const expected = this.#rowsBefore + this.#added - result.deleted;
    if (rows !== expected) {
      throw new Error(`Merging ${this.#table.name} left ${rows} rows where ${expected} were expected.`);
    }
    return { added: this.#added, updated: this.#updated, rows, ...result };
  }

  /** Rows whose keys the sweep did not find are gone; keys unknown here, or of another version, were missed. */
  #compareKeys(): string[] {
    const { keys } = this.#options;
    if (keys === undefined) return [];
    const db = this.#db;
    if (keys === 'all') {
      db.run(`INSERT OR IGNORE INTO temp.gone SELECT ${this.#key} FROM ${this.#name}
        WHERE ${this.#key} NOT IN (SELECT id FROM temp.swept)`);
    } else {
      for (const id of keys) {
        if (db.get('SELECT 1 FROM temp.swept WHERE id = ?', [id]) === undefined) {
          db.run('INSERT OR IGNORE INTO temp.gone VALUES (?)', [id]);
        }
      }
    }
    const version = this.#table.versionColumn;
    const differs = version === undefined ? '' : ` OR CAST(t.${quote(version)} AS TEXT) IS NOT k.version`;
    const marked = this.#marks ? ` OR t.${quote(deletedAtColumn)} IS NOT NULL` : '';
    return db
      .all<{ id: string }>(
        `SELECT k.id FROM temp.swept k LEFT JOIN ${this.#name} t ON t.${this.#key} = k.id
         WHERE t.${this.#key} IS NULL${differs}${marked}`,
      )
      .map((row) => row.id);
  }

  #delete(): { deleted: number; heldBack: number } {
    const db = this.#db;
    const live = this.#marks ? ` AND ${quote(deletedAtColumn)} IS NULL` : '';
    const present = `${this.#key} IN (SELECT id FROM temp.gone)${live}`;
    const doomed = db.get<{ n: number }>(`SELECT count(*) AS n FROM ${this.#name} WHERE ${present}`)!.n;
    if (doomed === 0) return { deleted: 0, heldBack: 0 };
    const limit =
      this.#rowsBefore >= massDeleteMinimumRows ? this.#rowsBefore * this.#options.massDeleteLimit : Infinity;
    if (doomed > limit) return { deleted: 0, heldBack: doomed };
    const { runId, at } = this.#options;
    db.run(
      `INSERT INTO _sync_deleted (table_name, id, deleted_at, run_id)
       SELECT ?, ${this.#key}, ?, ? FROM ${this.#name} WHERE ${present}
       ON CONFLICT (table_name, id) DO UPDATE SET deleted_at = excluded.deleted_at, run_id = excluded.run_id`,
      [this.#table.name, at, runId],
    );
    this.#history?.close(present);
    if (this.#marks) db.run(`UPDATE ${this.#name} SET ${quote(deletedAtColumn)} = ? WHERE ${present}`, [at]);
    else db.run(`DELETE FROM ${this.#name} WHERE ${present}`);
    return { deleted: doomed, heldBack: 0 };
  }

  #countRows(): number {
    const live = this.#marks ? ` WHERE ${quote(deletedAtColumn)} IS NULL` : '';
    return this.#db.get<{ n: number }>(`SELECT count(*) AS n FROM ${this.#name}${live}`)!.n;
  }
}

function hasTable(db: SqliteDatabase, name: string): boolean {
  return db.get('SELECT 1 FROM shard.sqlite_master WHERE name = ?', [name]) !== undefined;
}
