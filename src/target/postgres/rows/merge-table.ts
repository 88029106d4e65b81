import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { Shard } from '../../../sqlite/shard.ts';
import { andLive, deletedAtColumn, hasMarks, rawJsonColumn } from '../../common/mirror-table.ts';
import type { ChangesTable } from '../bookkeeping/changes-table.ts';
import { ComparedRows } from '../cluster/compared-rows.ts';
import { placementOf } from '../cluster/placements.ts';
import type { Session } from '../connection/session.ts';
import type { PostgresType } from '../schema/column-types.ts';
import { storedColumns } from '../schema/stored-columns.ts';
import { type StagedShard, tablesOf } from '../staging/staged-shards.ts';
import { anyDiffers } from './any-differs.ts';
import type { LoadedColumn } from './copy-rows.ts';
import { deleteRows } from './delete-rows.ts';
import { History } from './history.ts';
import { countRows } from './live-rows.ts';
import { type LoadedShard, loadShard, shardRow, shardVersion, validIds } from './load-shard.ts';
import { Repairs } from './repairs.ts';
import type { TemporaryTables } from './temporary-tables.ts';

/** What a merge did to a table. See `TableMerge`. */
export interface MergeCounts {
  added: number;
  updated: number;
  deleted: number;
  rows: number;
  heldBack: number;
  outdatedIds: string[];
  otherValues: number;
  absent: number;
  movedBack: number;
  /** Whether the history table was created or got other columns. */
  historyChanged: boolean;
  notes: string[];
}

export interface MergeTableOptions {
  runId: string;
  /** The time of the merge for history, tombstones and marks: ISO 8601, UTC. */
  at: string;
  history: boolean;
  startHistory: boolean;
  /** Rows in the table before; those only marked as deleted do not count. */
  rowsBefore: number;
  /** Count the rows afterwards, and compare the count with what was added and deleted. */
  isCounted: boolean;
  massDeleteLimit: number;
  /** Whether rows absent from the shards are deleted rows. */
  isComplete: boolean;
  comparedKeys: 'all' | readonly string[] | undefined;
  /** Those of the transaction. */
  temporary: TemporaryTables;
  /** Notes which rows change, if that is wanted. */
  changes?: ChangesTable | undefined;
}

/** One shard of a table, and whether it belongs to the read that counts as complete. */
export interface ShardPart {
  open: () => Promise<Shard>;
  isFinal: boolean;
  /** What it became when it was staged. */
  staged?: StagedShard | undefined;
}

interface TableMergerOptions extends MergeTableOptions {
  /** Whether every shard is of the read that counts as complete. */
  areFinal: boolean;
}

/** Merges the shards of a table in order: rows first, then deletes. It writes only rows that differ. */
export async function mergeTable(
  session: Session,
  table: Table,
  shards: readonly ShardPart[],
  options: MergeTableOptions,
): Promise<MergeCounts> {
  const areFinal = shards.every(({ isFinal }) => isFinal);
  const merger = await TableMerger.begin(session, table, { ...options, areFinal });
  for (const [index, shard] of shards.entries()) {
    await merger.merge(shard, index === shards.length - 1);
  }
  return merger.finish();
}

/**
 * What the shards say about existence, collected before anything is deleted: ids of deleted rows, ids of rows of earlier
 * shards, ids of received rows, swept keys with their versions, and those of them whose rows have other values. And the
 * places of the rows of one shard that are new or differ from the table.
 */
interface Lists {
  gone: string;
  written: string;
  received: string;
  compared: string;
  differing: string;
  changed: string;
}

/** Empty lists for keys of this type. All tables of a transaction with such keys use the same. */
async function openLists(temporary: TemporaryTables, keyType: PostgresType): Promise<Lists> {
  const list = (name: string, columns: string) => temporary.open(`merge_${name}`, columns);
  const ids = `id ${keyType} PRIMARY KEY`;
  // An index costs more than all else about a list. An id can be in these two several times.
  const longIds = `id ${keyType}`;
  return {
    gone: await list('gone', ids),
    written: await list('written', longIds),
    received: await list('received', longIds),
    compared: await list('swept', `${ids}, version text`),
    differing: await list('differing', ids),
    changed: await list('changed', 'place bigint'),
  };
}

class TableMerger {
  readonly #session: Session;
  readonly #table: Table;
  readonly #options: TableMergerOptions;
  readonly #name: string;
  readonly #key: string;
  readonly #keyType: PostgresType;
  readonly #columns: readonly LoadedColumn[];
  readonly #lists: Lists;
  readonly #history: History | undefined;
  /** The table's rows for joins with those of shards. */
  readonly #stored: ComparedRows;
  /** Whether the table had no row, not even a marked one, and whether there were tombstones of its rows. */
  readonly #before: { isEmpty: boolean; hasTombstones: boolean };
  readonly #repairs = new Repairs();
  #movedBack = 0;
  #added = 0;
  #updated = 0;
  /** Rows that were added or updated without a look at which of both it was. */
  #written = 0;
  /** Whether an id was added to the list of deleted rows. */
  #areSomeGone = false;

  private constructor(
    session: Session,
    table: Table,
    options: TableMergerOptions,
    columns: readonly LoadedColumn[],
    keyType: PostgresType,
    lists: Lists,
    history: History | undefined,
    stored: ComparedRows,
    before: { isEmpty: boolean; hasTombstones: boolean },
  ) {
    this.#session = session;
    this.#table = table;
    this.#options = options;
    this.#name = session.name(table.name);
    this.#key = quote(table.primaryKey);
    this.#columns = columns;
    this.#keyType = keyType;
    this.#lists = lists;
    this.#history = history;
    this.#stored = stored;
    this.#before = before;
  }

  static async begin(session: Session, table: Table, options: TableMergerOptions): Promise<TableMerger> {
    const types = await storedColumns(session, table.name);
    // As the table has them: an integer column that was wider before stays so.
    const columns = table.columns
      .filter(({ name }) => name !== deletedAtColumn)
      .map(({ name }) => ({ name, type: types.get(name) as PostgresType }));
    const { at, startHistory: compare } = options;
    const history = options.history ? await History.open(session, table, { at, compare }) : undefined;
    const keyType = columns.find(({ name }) => name === table.primaryKey)!.type;
    const lists = await openLists(options.temporary, keyType);
    const found = await session.get(
      `SELECT EXISTS (SELECT 1 FROM ${session.name(table.name)} LIMIT 1) AS rows,
         EXISTS (SELECT 1 FROM ${session.name('_sync_deleted')} WHERE table_name = $1) AS tombstones`,
      [table.name],
    );
    const before = { isEmpty: found!['rows'] === 'f', hasTombstones: found!['tombstones'] === 't' };
    const isCopied = (await placementOf(session, table.name)) !== 'local';
    const stored = new ComparedRows(session, table, types, options.temporary, isCopied);
    return new TableMerger(session, table, options, columns, keyType, lists, history, stored, before);
  }

  async merge(part: ShardPart, isLast: boolean): Promise<void> {
    const { isFinal, staged } = part;
    const tables = staged && tablesOf(this.#session, staged, this.#columns);
    if (tables !== undefined) {
      this.#repairs.addAll(staged!.repairs);
      return this.#mergeLoaded(tables, isFinal, isLast);
    }
    const shard = await part.open();
    try {
      const { temporary, comparedKeys } = this.#options;
      const loaded = await loadShard(
        this.#session,
        temporary,
        shard,
        this.#table,
        this.#columns,
        this.#repairs,
        {
          withKeys: comparedKeys !== undefined,
        },
      );
      await this.#mergeLoaded(loaded, isFinal, isLast);
      await temporary.empty(
        ...(loaded.keys === undefined ? [loaded.rows] : [loaded.rows, loaded.keys.table]),
      );
    } finally {
      shard.close();
    }
  }

  async #mergeLoaded(
    { rows, count, deleted, keys }: LoadedShard,
    isFinal: boolean,
    isLast: boolean,
  ): Promise<void> {
    const session = this.#session;
    const key = this.#key;
    const { gone, received } = this.#lists;
    if (count > 0) {
      await this.#upsert(rows, count, isLast);
      if (this.#options.isComplete && isFinal && !this.#receivesAll) {
        await session.run(`INSERT INTO ${received} SELECT ${key} FROM ${rows}`);
      }
      // A later shard can restore a row. Within a shard deletes come after rows.
      if (this.#areSomeGone)
        await session.run(`DELETE FROM ${gone} WHERE id IN (SELECT ${key} FROM ${rows})`);
    }
    await this.#addGone(deleted);
    if (this.#options.comparedKeys !== undefined && keys !== undefined) await this.#sweep(keys);
  }

  /** Whether the shards have every row of the table: it was empty before. */
  get #receivesAll(): boolean {
    return this.#before.isEmpty && this.#options.areFinal;
  }

  /** @param ids those of deleted rows */
  async #addGone(ids: LoadedShard['deleted']): Promise<void> {
    if ('table' in ids) {
      await this.#session.run(
        `INSERT INTO ${this.#lists.gone} SELECT id FROM ${ids.table} ON CONFLICT DO NOTHING`,
      );
    } else if (ids.length > 0) {
      await this.#session.run(
        `INSERT INTO ${this.#lists.gone} SELECT unnest($1::text[])::${this.#keyType} ON CONFLICT DO NOTHING`,
        [ids],
      );
    } else return;
    this.#areSomeGone = true;
  }

  /** Takes the keys of the table, and compares the values beside them. Rows came before, so the table has the latest. */
  async #sweep({ table, columns }: NonNullable<LoadedShard['keys']>): Promise<void> {
    const session = this.#session;
    const { compared, differing } = this.#lists;
    const key = this.#key;
    await session.run(
      `INSERT INTO ${compared} SELECT DISTINCT ON (${key}) ${key}, ${quote(shardVersion)} FROM ${table}
       ORDER BY ${key}, ${quote(shardRow)} DESC ON CONFLICT (id) DO UPDATE SET version = excluded.version`,
    );
    const names = columns.filter((name) => name !== this.#table.primaryKey);
    if (names.length === 0) return;
    await this.#stored.use(names, `SELECT ${key} FROM ${table}`, (rows) =>
      session.run(
        `INSERT INTO ${differing} SELECT k.${key} FROM ${table} k JOIN ${rows} t ON t.${key} = k.${key}
         WHERE ${anyDiffers('t', 'k', names)} ON CONFLICT DO NOTHING`,
      ),
    );
  }

  /** @param count the rows, each key once */
  async #upsert(staged: string, count: number, isLast: boolean): Promise<void> {
    // Whatever was in an empty table before was in a shard: the upsert compares it. Citus does not tell how many it wrote.
    if (this.#before.isEmpty && this.#history === undefined && !this.#stored.isCopied)
      this.#written += await this.#write(staged);
    else await this.#writeChanged(staged, count, isLast);
    if (!this.#before.hasTombstones) return;
    await this.#session.run(
      `DELETE FROM ${this.#session.name('_sync_deleted')}
       WHERE table_name = $1 AND id IN (SELECT ${this.#key}::text FROM ${staged})`,
      [this.#table.name],
    );
  }

  /** Compares the rows with the table, which locks none of them, and writes those that are new or differ. */
  async #writeChanged(staged: string, count: number, isLast: boolean): Promise<void> {
    const { changed, written: earlier } = this.#lists;
    const session = this.#session;
    const key = this.#key;
    const isKnown = `(t.${key} IS NOT NULL${andLive(this.#table, 't')})`;
    const isLower = this.#isLower(`s.${quote(shardVersion)}`);
    // The limit makes it look up each row by its key, as the upsert does. A join would read all of the table for each shard.
    const names = this.#columns.map(({ name }) => name);
    const keys = `SELECT ${key} FROM ${staged}`;
    const found = await this.#stored.use(names, keys, (stored) =>
      session.get<{ known: string; lower: string; changed: string }>(
        `WITH rows AS MATERIALIZED (
         SELECT s.${quote(shardRow)} AS place, ${isKnown} AS is_known,
           ${isKnown} AND ${isLower} AND NOT EXISTS (SELECT 1 FROM ${earlier} w WHERE w.id = t.${key}) AS is_lower,
           t.${key} IS NULL OR ${this.#changedCondition('t', 's')} AS is_changed
         FROM ${staged} s LEFT JOIN LATERAL (SELECT * FROM ${stored} r WHERE r.${key} = s.${key} LIMIT 1) t ON true),
       noted AS (INSERT INTO ${changed} SELECT place FROM rows WHERE is_changed)
       SELECT count(*) FILTER (WHERE is_known) AS known, count(*) FILTER (WHERE is_lower) AS lower,
         count(*) FILTER (WHERE is_changed) AS changed FROM rows`,
      ),
    );
    this.#movedBack += Number(found!.lower);
    // Pages can show a row twice, so a later shard may have a version that an earlier one has replaced.
    if (!isLast && isLower !== 'false') {
      await session.run(`INSERT INTO ${earlier} SELECT ${key} FROM ${staged}`);
    }
    const news = Number(found!.changed);
    const added = count - Number(found!.known);
    this.#added += added;
    if (news === 0) return;
    const condition = `s.${quote(shardRow)} IN (SELECT place FROM ${changed})`;
    await this.#history?.record(staged, condition);
    const written = await this.#write(staged, news < count ? condition : 'true');
    // Citus tells how many rows it was given. No other writer can have changed any since they were compared.
    this.#updated += (this.#stored.isCopied ? news : written) - added;
    await this.#options.temporary.empty(changed);
  }

  /** @param condition which rows `s` to write @returns how many rows of the table it wrote */
  async #write(staged: string, condition = 'true'): Promise<number> {
    const sql = `INSERT INTO ${this.#name} AS t (${this.#names()}) SELECT ${this.#names()} FROM ${staged} s
       WHERE ${condition} ON CONFLICT (${this.#key}) ${this.#action()}`;
    const noting = await this.#options.changes?.noting(this.#table.logicalName, sql, `t.${this.#key}`);
    return this.#session.run(noting ?? sql);
  }

  #names(): string {
    return this.#columns.map(({ name }) => quote(name)).join(', ');
  }

  /** What becomes of a row that is there. Its key stays: it may decide where the row is stored (Citus). */
  #action(): string {
    const assignments = this.#columns
      .filter(({ name }) => name !== this.#table.primaryKey)
      .map(({ name }) => `${quote(name)} = excluded.${quote(name)}`);
    if (hasMarks(this.#table)) assignments.push(`${quote(deletedAtColumn)} = NULL`);
    if (assignments.length === 0) return 'DO NOTHING';
    return `DO UPDATE SET ${assignments.join(', ')} WHERE ${this.#changedCondition('t', 'excluded')}`;
  }

  /**
   * The condition that a version in a shard is lower than that of the row `t`. ETags of tables without `versionnumber`, such
   * as virtual ones, are text and say nothing.
   */
  #isLower(version: string): string {
    const column = this.#table.versionColumn;
    const type = this.#columns.find(({ name }) => name === column)?.type;
    // Without rows before, those in the table are of this merge.
    if (column === undefined || type !== 'bigint' || this.#options.rowsBefore === 0) return 'false';
    return `(CASE WHEN ${version} ~ '^[0-9]+$' THEN ${version}::numeric < t.${quote(column)} ELSE false END)`;
  }

  #changedCondition(existing: string, incoming: string): string {
    const { primaryKey, versionColumn } = this.#table;
    const names = this.#columns
      .map(({ name }) => name)
      .filter((name) => name !== primaryKey && name !== rawJsonColumn);
    // The version first: it differs whenever Dataverse wrote the row, so most comparisons end there.
    names.sort((a, b) => Number(b === versionColumn) - Number(a === versionColumn));
    const terms = [anyDiffers(existing, incoming, names)];
    // Rows from before `rawJson` was turned on lack their records.
    if (this.#columns.some(({ name }) => name === rawJsonColumn)) {
      terms.push(`${existing}.${quote(rawJsonColumn)} IS NULL`);
    }
    if (hasMarks(this.#table)) terms.push(`${existing}.${quote(deletedAtColumn)} IS NOT NULL`);
    return `(${terms.join(' OR ')})`;
  }

  async finish(): Promise<MergeCounts> {
    const session = this.#session;
    const { rowsBefore, isComplete, isCounted } = this.#options;
    if (this.#written > 0) {
      // Nothing was deleted yet.
      const added = await countRows(session, this.#table);
      this.#added += added;
      this.#updated += this.#written - added;
    }
    const keys = await this.#compareKeys();
    if (isComplete && !this.#receivesAll) await this.#addAbsent(this.#lists.received);
    const deletes = await this.#delete();
    await this.#options.temporary.empty(...Object.values(this.#lists));
    const rows = rowsBefore + this.#added - deletes.deleted;
    const counted = isCounted ? await countRows(session, this.#table) : rows;
    if (counted !== rows) {
      throw new Error(`Merging ${this.#table.name} left ${counted} rows instead of ${rows}.`);
    }
    return {
      added: this.#added,
      updated: this.#updated,
      rows,
      movedBack: this.#movedBack,
      historyChanged: this.#history?.isChanged === true,
      notes: this.#repairs.notes(),
      ...keys,
      ...deletes,
    };
  }

  /** Rows whose keys the sweep did not find are deleted. Returns the keys that the table lacks or has otherwise. */
  async #compareKeys(): Promise<Pick<MergeCounts, 'outdatedIds' | 'otherValues' | 'absent'>> {
    const { comparedKeys: keys } = this.#options;
    if (keys === undefined) return { outdatedIds: [], otherValues: 0, absent: 0 };
    const session = this.#session;
    const { gone, compared, differing } = this.#lists;
    let absent = 0;
    if (keys === 'all') {
      // The sweep came after the tombstones: such a row exists again, and is read again.
      await session.run(
        `INSERT INTO ${differing} SELECT id FROM ${gone} WHERE id IN (SELECT id FROM ${compared}) ON CONFLICT DO NOTHING`,
      );
      await session.run(`DELETE FROM ${gone} WHERE id IN (SELECT id FROM ${compared})`);
      absent = await this.#addAbsent(compared);
    } else {
      const found = await session.all<{ id: string }>(`SELECT id::text AS id FROM ${compared}`);
      const present = new Set(found.map(({ id }) => id));
      const missing = keys.filter((id) => !present.has(id));
      await this.#addGone(validIds(missing, this.#keyType));
    }
    const key = `t.${this.#key}`;
    const version = this.#table.versionColumn;
    const differs = version === undefined ? '' : ` OR t.${quote(version)}::text IS DISTINCT FROM k.version`;
    const marked = hasMarks(this.#table) ? ` OR t.${quote(deletedAtColumn)} IS NOT NULL` : '';
    const names = version === undefined ? [] : [version];
    const missed = await this.#stored.use(names, `SELECT id FROM ${compared}`, async (rows) => {
      this.#movedBack += await session.number(
        `SELECT count(*) AS n FROM ${compared} k JOIN ${rows} t ON ${key} = k.id
         WHERE ${this.#isLower('k.version')}${andLive(this.#table, 't')}`,
      );
      return session.all<{ id: string }>(
        `SELECT k.id::text AS id FROM ${compared} k LEFT JOIN ${rows} t ON ${key} = k.id
         WHERE ${key} IS NULL${differs}${marked}`,
      );
    });
    const outdated = new Set(missed.map(({ id }) => id));
    const others = await session.all<{ id: string }>(`SELECT id::text AS id FROM ${differing}`);
    for (const { id } of others) outdated.add(id);
    return { outdatedIds: [...outdated], otherValues: outdated.size - missed.length, absent };
  }

  /** Adds the rows that a list of all existing ids lacks to the deleted ones. @returns how many it added */
  #addAbsent(existing: string): Promise<number> {
    return this.#stored.use([], undefined, (rows) =>
      this.#session.run(
        `INSERT INTO ${this.#lists.gone} SELECT t.${this.#key} FROM ${rows} t
         WHERE NOT EXISTS (SELECT 1 FROM ${existing} e WHERE e.id = t.${this.#key})${andLive(this.#table, 't')}
         ON CONFLICT DO NOTHING`,
      ),
    );
  }

  #delete(): Promise<{ deleted: number; heldBack: number }> {
    const { runId, at, massDeleteLimit, rowsBefore, temporary } = this.#options;
    return deleteRows(this.#session, this.#table, this.#lists.gone, {
      runId,
      at,
      massDeleteLimit,
      rowsBefore,
      temporary,
      keyType: this.#keyType,
      mark: true,
      changes: this.#options.changes,
      history: this.#history,
    });
  }
}
