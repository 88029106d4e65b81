import { quoteIdentifier as quote } from '../../../../schema/sql.ts';
import type { Table } from '../../../../schema/table.ts';
import { andLive, deletedAtColumn, hasMarks } from '../../../common/mirror-table.ts';
import type { ComparedRows } from '../../cluster/compared-rows.ts';
import type { Session } from '../../connection/session.ts';
import type { PostgresType } from '../../schema/column-types.ts';
import { anyDiffers } from '../any-differs.ts';
import type { LoadedColumn } from '../copy-rows.ts';
import { type LoadedShard, shardRow, shardVersion, validIds } from '../load-shard.ts';
import type { MergeLists } from './merge-lists.ts';
import { lowerCondition } from './row-conditions.ts';

/** What a comparison of keys found. See `TableMerge`. */
export interface ComparedKeys {
  outdatedIds: string[];
  otherValues: number;
  absent: number;
  /** Of the compared keys alone. */
  movedBack: number;
}

export interface KeyComparisonOptions {
  table: Table;
  columns: readonly LoadedColumn[];
  keyType: PostgresType;
  rowsBefore: number;
  lists: MergeLists;
  stored: ComparedRows;
}

/**
 * Compares what a sweep read, keys with versions and some values, with the table. The rows of a shard are merged before its
 * keys are added, so the table has the latest.
 */
export class KeyComparison {
  readonly #session: Session;
  readonly #options: KeyComparisonOptions;
  readonly #key: string;

  constructor(session: Session, options: KeyComparisonOptions) {
    this.#session = session;
    this.#options = options;
    this.#key = quote(options.table.primaryKey);
  }

  /** Takes the keys of a shard, and compares the values beside them. */
  async add({ table, columns }: NonNullable<LoadedShard['keys']>): Promise<void> {
    const { lists, stored } = this.#options;
    const { compared, differing } = lists;
    const session = this.#session;
    const key = this.#key;
    await session.run(
      `INSERT INTO ${compared} SELECT DISTINCT ON (${key}) ${key}, ${quote(shardVersion)} FROM ${table}
       ORDER BY ${key}, ${quote(shardRow)} DESC ON CONFLICT (id) DO UPDATE SET version = excluded.version`,
    );
    const names = columns.filter((name) => name !== this.#options.table.primaryKey);
    if (names.length === 0) return;
    await stored.use(names, `SELECT ${key} FROM ${table}`, (rows) =>
      session.run(
        `INSERT INTO ${differing} SELECT k.${key} FROM ${table} k JOIN ${rows} t ON t.${key} = k.${key}
         WHERE ${anyDiffers('t', 'k', names)} ON CONFLICT DO NOTHING`,
      ),
    );
  }

  /**
   * Adds the rows whose keys the sweep did not find to the deleted ones, and finds the keys that the table lacks or has
   * otherwise.
   * @param keys those that were asked for
   */
  async finish(keys: 'all' | readonly string[]): Promise<ComparedKeys> {
    let absent = 0;
    if (keys === 'all') absent = await this.#addAllAbsent();
    else await this.#addMissing(keys);
    const { missed, movedBack } = await this.#compareVersions();
    const outdated = new Set(missed);
    for (const id of await this.#ids(this.#options.lists.differing)) outdated.add(id);
    return { outdatedIds: [...outdated], otherValues: outdated.size - missed.length, absent, movedBack };
  }

  async #addAllAbsent(): Promise<number> {
    const { gone, compared, differing } = this.#options.lists;
    // The sweep came after the tombstones: such a row exists again, and is read again.
    await this.#session.run(
      `INSERT INTO ${differing} SELECT id FROM ${gone} WHERE id IN (SELECT id FROM ${compared}) ON CONFLICT DO NOTHING`,
    );
    await this.#session.run(`DELETE FROM ${gone} WHERE id IN (SELECT id FROM ${compared})`);
    return addAbsent(this.#session, this.#options, compared);
  }

  async #addMissing(keys: readonly string[]): Promise<void> {
    const { lists, keyType } = this.#options;
    const present = new Set(await this.#ids(lists.compared));
    await lists.addGone(
      validIds(
        keys.filter((id) => !present.has(id)),
        keyType,
      ),
    );
  }

  /**
   * The ids that the table lacks, has with another version or marks as deleted, and how many rows have a greater version in
   * the table.
   */
  async #compareVersions(): Promise<{ missed: string[]; movedBack: number }> {
    const { table, columns, rowsBefore, lists, stored } = this.#options;
    const { compared } = lists;
    const session = this.#session;
    const key = `t.${this.#key}`;
    const version = table.versionColumn;
    const differs = version === undefined ? '' : ` OR t.${quote(version)}::text IS DISTINCT FROM k.version`;
    const marked = hasMarks(table) ? ` OR t.${quote(deletedAtColumn)} IS NOT NULL` : '';
    const names = version === undefined ? [] : [version];
    const isLower = lowerCondition(table, columns, rowsBefore, 'k.version') ?? 'false';
    return stored.use(names, `SELECT id FROM ${compared}`, async (rows) => {
      const movedBack = await session.number(
        `SELECT count(*) AS n FROM ${compared} k JOIN ${rows} t ON ${key} = k.id
         WHERE ${isLower}${andLive(table, 't')}`,
      );
      const missed = await session.all<{ id: string }>(
        `SELECT k.id::text AS id FROM ${compared} k LEFT JOIN ${rows} t ON ${key} = k.id
         WHERE ${key} IS NULL${differs}${marked}`,
      );
      return { missed: missed.map(({ id }) => id), movedBack };
    });
  }

  async #ids(list: string): Promise<string[]> {
    return (await this.#session.all<{ id: string }>(`SELECT id::text AS id FROM ${list}`)).map(
      ({ id }) => id,
    );
  }
}

/**
 * Adds the rows of the table that a list of all existing ids lacks to the deleted ones.
 * @returns how many it added
 */
export function addAbsent(
  session: Session,
  { table, lists, stored }: Pick<KeyComparisonOptions, 'table' | 'lists' | 'stored'>,
  existing: string,
): Promise<number> {
  return stored.use([], undefined, (rows) =>
    session.run(
      `INSERT INTO ${lists.gone} SELECT t.${quote(table.primaryKey)} FROM ${rows} t
       WHERE NOT EXISTS (SELECT 1 FROM ${existing} e WHERE e.id = t.${quote(table.primaryKey)})${andLive(table, 't')}
       ON CONFLICT DO NOTHING`,
    ),
  );
}
