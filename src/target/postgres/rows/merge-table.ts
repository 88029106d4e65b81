import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { Shard } from '../../../sqlite/shard.ts';
import { andLive, deletedAtColumn, hasMarks } from '../../common/mirror-table.ts';
import type { ChangesTable } from '../bookkeeping/changes-table.ts';
import { ComparedRows } from '../cluster/compared-rows.ts';
import { placementOf } from '../cluster/placements.ts';
import type { Session } from '../connection/session.ts';
import type { PostgresType } from '../schema/column-types.ts';
import { storedColumns } from '../schema/stored-columns.ts';
import { type StagedShard, tablesOf } from '../staging/staged-shards.ts';
import type { LoadedColumn } from './copy-rows.ts';
import { deleteRows } from './delete-rows.ts';
import { History } from './history.ts';
import { countRows } from './live-rows.ts';
import { type LoadedShard, loadShard, shardRow, shardVersion } from './load-shard.ts';
import { addAbsent, KeyComparison } from './merge/key-comparison.ts';
import { MergeLists } from './merge/merge-lists.ts';
import { changedCondition, lowerCondition } from './merge/row-conditions.ts';
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

class TableMerger {
  readonly #session: Session;
  readonly #table: Table;
  readonly #options: TableMergerOptions;
  readonly #name: string;
  readonly #key: string;
  readonly #columns: readonly LoadedColumn[];
  readonly #keyType: PostgresType;
  readonly #lists: MergeLists;
  /** If keys are compared. */
  readonly #keys: KeyComparison | undefined;
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

  private constructor(
    session: Session,
    table: Table,
    options: TableMergerOptions,
    columns: readonly LoadedColumn[],
    keyType: PostgresType,
    lists: MergeLists,
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
    const { comparedKeys, rowsBefore } = options;
    if (comparedKeys !== undefined)
      this.#keys = new KeyComparison(session, { table, columns, keyType, rowsBefore, lists, stored });
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
    const lists = await MergeLists.open(session, options.temporary, keyType);
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
    const { received } = this.#lists;
    if (count > 0) {
      await this.#upsert(rows, count, isLast);
      if (this.#options.isComplete && isFinal && !this.#receivesAll) {
        await session.run(`INSERT INTO ${received} SELECT ${key} FROM ${rows}`);
      }
      // A later shard can restore a row. Within a shard deletes come after rows.
      await this.#lists.removeGone(`SELECT ${key} FROM ${rows}`);
    }
    await this.#lists.addGone(deleted);
    if (keys !== undefined) await this.#keys?.add(keys);
  }

  /** Whether the shards have every row of the table: it was empty before. */
  get #receivesAll(): boolean {
    return this.#before.isEmpty && this.#options.areFinal;
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
    const isLower = lowerCondition(
      this.#table,
      this.#columns,
      this.#options.rowsBefore,
      `s.${quote(shardVersion)}`,
    );
    // The limit makes it look up each row by its key, as the upsert does. A join would read all of the table for each shard.
    const names = this.#columns.map(({ name }) => name);
    const keys = `SELECT ${key} FROM ${staged}`;
    const found = await this.#stored.use(names, keys, (stored) =>
      session.get<{ known: string; lower: string; changed: string }>(
        `WITH rows AS MATERIALIZED (
         SELECT s.${quote(shardRow)} AS place, ${isKnown} AS is_known,
           ${isKnown} AND ${isLower ?? 'false'} AND NOT EXISTS (SELECT 1 FROM ${earlier} w WHERE w.id = t.${key}) AS is_lower,
           t.${key} IS NULL OR ${changedCondition(this.#table, this.#columns, 't', 's')} AS is_changed
         FROM ${staged} s LEFT JOIN LATERAL (SELECT * FROM ${stored} r WHERE r.${key} = s.${key} LIMIT 1) t ON true),
       noted AS (INSERT INTO ${changed} SELECT place FROM rows WHERE is_changed)
       SELECT count(*) FILTER (WHERE is_known) AS known, count(*) FILTER (WHERE is_lower) AS lower,
         count(*) FILTER (WHERE is_changed) AS changed FROM rows`,
      ),
    );
    this.#movedBack += Number(found!.lower);
    // Pages can show a row twice, so a later shard may have a version that an earlier one has replaced.
    if (!isLast && isLower !== undefined) {
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
    return `DO UPDATE SET ${assignments.join(', ')} WHERE ${changedCondition(this.#table, this.#columns, 't', 'excluded')}`;
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
    const keys = await this.#keys?.finish(this.#options.comparedKeys!);
    if (isComplete && !this.#receivesAll) {
      const places = { table: this.#table, lists: this.#lists, stored: this.#stored };
      await addAbsent(session, places, this.#lists.received);
    }
    const deletes = await this.#delete();
    await this.#lists.empty();
    const rows = rowsBefore + this.#added - deletes.deleted;
    const counted = isCounted ? await countRows(session, this.#table) : rows;
    if (counted !== rows) {
      throw new Error(`Merging ${this.#table.name} left ${counted} rows instead of ${rows}.`);
    }
    return {
      added: this.#added,
      updated: this.#updated,
      rows,
      historyChanged: this.#history?.isChanged === true,
      notes: this.#repairs.notes(),
      outdatedIds: keys?.outdatedIds ?? [],
      otherValues: keys?.otherValues ?? 0,
      absent: keys?.absent ?? 0,
      movedBack: this.#movedBack + (keys?.movedBack ?? 0),
      ...deletes,
    };
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
