import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Column, Table } from '../../../schema/table.ts';
import { andLive, deletedAtColumn, historyName, liveRows } from '../../common/mirror-table.ts';
import { placeHistory } from '../cluster/place-table.ts';
import type { Session } from '../connection/session.ts';
import { castSql, holds, type PostgresType } from '../schema/column-types.ts';
import { storedName } from '../schema/names.ts';
import { storedColumns } from '../schema/stored-columns.ts';

export interface HistoryOptions {
  /** The time of this sync, ISO 8601 in UTC. */
  at: string;
  /** Rows may have changed while no history was kept. */
  compare?: boolean;
}

/** Types whose values SQLite writes as other texts, which a mirror that was moved here has. */
const writtenOtherwise: ReadonlySet<PostgresType> = new Set(['timestamp with time zone', 'boolean']);

/**
 * The history of a table: every version of a row with `valid_from` (inclusive) and `valid_to` (exclusive, NULL for the
 * current one), in the times of the syncs that found them.
 */
export class History {
  /** Whether the history table was created or got other columns. */
  isChanged = false;
  readonly #session: Session;
  readonly #table: Table;
  readonly #at: string;
  readonly #name: string;
  readonly #rows: string;
  readonly #key: string;
  readonly #columns: readonly Column[];
  /** Columns whose versions have been of several types: their values are texts. The type of now, by name. */
  readonly #texts = new Map<string, PostgresType>();

  private constructor(session: Session, table: Table, at: string) {
    this.#session = session;
    this.#table = table;
    this.#at = at;
    this.#name = session.name(storedName(historyName(table)));
    this.#rows = session.name(table.name);
    this.#key = quote(table.primaryKey);
    this.#columns = table.columns.filter(({ name }) => name !== deletedAtColumn);
  }

  /** Opens it: creates the history table if it does not exist, and adds the columns that the table gained. */
  static async open(session: Session, table: Table, { at, compare }: HistoryOptions): Promise<History> {
    const history = new History(session, table, at);
    const types = await storedColumns(session, table.name);
    const before = await storedColumns(session, storedName(historyName(table)));
    if (before.size === 0) {
      await history.#create(types);
    } else {
      const isAdapted = await history.#adapt(before, types);
      if (isAdapted || compare) history.isChanged = (await history.#compareVersions()) || isAdapted;
    }
    return history;
  }

  async #create(types: ReadonlyMap<string, string>): Promise<void> {
    this.isChanged = true;
    const definitions = this.#columns.map(({ name }) => `${quote(name)} ${types.get(name)}`);
    await this.#session.run(
      `CREATE TABLE ${this.#name} (${definitions.join(', ')}, valid_from timestamp with time zone NOT NULL,
       valid_to timestamp with time zone, PRIMARY KEY (${this.#key}, valid_from))`,
    );
    await placeHistory(this.#session, this.#table);
    await this.#add(`${this.#rows} t${liveRows(this.#table)}`, 't');
  }

  /**
   * Adds the columns of the table that its history lacks. A column that has another type now becomes text, so that old and
   * new values can stand beside each other.
   * @returns whether anything changed
   */
  async #adapt(before: ReadonlyMap<string, string>, types: ReadonlyMap<string, string>): Promise<boolean> {
    let isChanged = false;
    const alter = (what: string) => this.#session.run(`ALTER TABLE ${this.#name} ${what}`);
    for (const { name } of this.#columns) {
      const type = types.get(name)! as PostgresType;
      const old = before.get(name);
      if (old === 'text' && type !== 'text') this.#texts.set(name, type);
      if (old === undefined) await alter(`ADD COLUMN ${quote(name)} ${type}`);
      else if (old === 'text' || holds(old, type)) continue;
      else if (holds(type, old as PostgresType)) await alter(`ALTER COLUMN ${quote(name)} TYPE ${type}`);
      else {
        if (type !== 'text') this.#texts.set(name, type);
        await alter(`ALTER COLUMN ${quote(name)} TYPE text USING ${quote(name)}::text`);
      }
      isChanged = true;
    }
    return isChanged;
  }

  #value(row: string, name: string): string {
    return `${row}.${quote(name)}${this.#texts.has(name) ? '::text' : ''}`;
  }

  /** Whether a version `h` has another value than the row `t`. */
  #differs(name: string): string {
    const other = `h.${quote(name)} IS DISTINCT FROM ${this.#value('t', name)}`;
    const type = this.#texts.get(name);
    if (type === undefined || !writtenOtherwise.has(type)) return other;
    // A text that is no such value is cast to NULL, and still another one than NULL.
    const value = `t.${quote(name)}`;
    return `(${other} AND (${value} IS NULL OR ${castSql(name, 'text', type, 'h')} IS DISTINCT FROM ${value}))`;
  }

  /** Adds a version for each of these rows. @param source what follows FROM @param row the alias of a row there */
  async #add(source: string, row: string): Promise<void> {
    const names = this.#columns.map(({ name }) => quote(name)).join(', ');
    const values = this.#columns.map(({ name }) => this.#value(row, name)).join(', ');
    await this.#session.run(
      `INSERT INTO ${this.#name} (${names}, valid_from) SELECT ${values}, $1::timestamptz FROM ${source}`,
      [this.#at],
    );
  }

  /**
   * Gives rows that differ from their current version a new one, and ends the current versions of rows that are gone: the
   * schema changed, or rows changed while no history was kept. Older versions keep their values.
   */
  async #compareVersions(): Promise<boolean> {
    const session = this.#session;
    const key = this.#key;
    const differs = this.#columns.map(({ name }) => this.#differs(name));
    await session.run(
      `CREATE TEMP TABLE changed_versions ON COMMIT DROP AS SELECT t.${key} AS id FROM ${this.#rows} t
       LEFT JOIN ${this.#name} h ON h.${key} = ${this.#value('t', this.#table.primaryKey)} AND h.valid_to IS NULL
       WHERE (h.valid_from IS NULL OR ${differs.join(' OR ')})${andLive(this.#table, 't')}`,
    );
    const isThere = `SELECT 1 FROM ${this.#rows} t
      WHERE ${this.#value('t', this.#table.primaryKey)} = h.${key}${andLive(this.#table, 't')}`;
    const gone = await this.#end(`h.valid_to IS NULL AND NOT EXISTS (${isThere})`);
    const changed = await session.number('SELECT count(*) AS n FROM pg_temp.changed_versions');
    if (changed > 0) {
      await this.close('SELECT id FROM pg_temp.changed_versions');
      const ids = 'SELECT id FROM pg_temp.changed_versions';
      await this.#add(`${this.#rows} t WHERE t.${key} IN (${ids})${andLive(this.#table, 't')}`, 't');
    }
    await session.run('DROP TABLE pg_temp.changed_versions');
    return gone + changed > 0;
  }

  /** Ends the current versions of the rows with these ids. @param ids a SELECT of them, as the column `id` */
  async close(ids: string): Promise<void> {
    const key = this.#table.primaryKey;
    const id = this.#texts.has(key) ? 'id::text' : 'id';
    await this.#end(`h.${this.#key} IN (SELECT ${id} FROM (${ids}) AS ids)`);
  }

  /** A version that began at this time or later would be empty: it goes. */
  async #end(condition: string): Promise<number> {
    const session = this.#session;
    const dropped = await session.run(
      `DELETE FROM ${this.#name} h WHERE h.valid_from >= $1 AND ${condition}`,
      [this.#at],
    );
    const ended = await session.run(
      `UPDATE ${this.#name} h SET valid_to = $1 WHERE h.valid_to IS NULL AND ${condition}`,
      [this.#at],
    );
    return dropped + ended;
  }

  /**
   * Before the upsert: ends the versions that rows of a shard replace, and adds the new ones.
   * @param staged the table with the rows of the shard
   * @param isNew the condition that the row `s` of the shard is new or differs from the table
   */
  async record(staged: string, isNew: string): Promise<void> {
    await this.close(`SELECT s.${this.#key} AS id FROM ${staged} s WHERE ${isNew}`);
    await this.#add(`${staged} s WHERE ${isNew}`, 's');
  }
}
