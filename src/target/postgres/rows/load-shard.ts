import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { Shard } from '../../../sqlite/shard.ts';
import type { Session } from '../connection/session.ts';
import type { PostgresType } from '../schema/column-types.ts';
import { convert } from './convert.ts';
import { CopyRows, type LoadedColumn } from './copy-rows.ts';
import { Repairs } from './repairs.ts';
import type { TemporaryTables } from './temporary-tables.ts';

/** The version of a row in a shard, and its place there, in the order of the read. */
export const shardVersion = '_shard_version';
export const shardRow = '_shard_row';

/** A shard whose rows are in tables of the database. */
export interface LoadedShard {
  /** The table with the rows, each key once. */
  rows: string;
  /** How many they are. */
  count: number;
  /** The ids of deleted rows, or the table that has them in its column `id`. */
  deleted: readonly string[] | { table: string };
  /** The table with the keys of a comparison, and the columns that it has of the rows. */
  keys?: { table: string; columns: readonly string[] } | undefined;
}

/** The columns of a table that takes rows of shards. */
export function shardColumns(columns: readonly LoadedColumn[]): string {
  const definitions = columns.map((column) => `${quote(column.name)} ${column.type}`);
  return [...definitions, `${quote(shardVersion)} text`, `${quote(shardRow)} bigint`].join(', ');
}

/** The columns that the keys of a comparison have. */
export function keyColumns(shard: Shard, columns: readonly LoadedColumn[]): LoadedColumn[] {
  const present = new Set(shard.columnsOf('keys').map(({ name }) => name));
  return columns.filter(({ name }) => present.has(name));
}

/**
 * Loads a table of a shard into an empty table with `shardColumns`.
 * @param from the table of the shard: `rows` or `keys`
 * @param into the name of the table, quoted
 * @param options what stands behind `FROM STDIN`
 * @returns how many rows it has
 */
export async function copyRows(
  session: Session,
  shard: Shard,
  from: string,
  into: string,
  table: Table,
  columns: readonly LoadedColumn[],
  repairs: Repairs,
  options = '',
): Promise<number> {
  const names = [...columns.map((column) => column.name), shardVersion, shardRow].map(quote);
  const rows = new CopyRows(shard, from, table, columns, repairs);
  await session.copy(`COPY ${into} (${names.join(', ')}) FROM STDIN${options}`, rows.chunks());
  return rows.rows;
}

/**
 * Dynamic paging can return a row twice. Keeps the greatest version of each key, and the last row of equal versions.
 * @param rows the table that has rows of one shard
 * @param total how many they are
 * @returns how many rows it has then
 */
export async function dropDuplicates(
  session: Session,
  rows: string,
  { primaryKey }: Table,
  total: number,
): Promise<number> {
  if (total === 0) return 0;
  const ids = await session.number(`SELECT count(DISTINCT ${quote(primaryKey)}) AS n FROM ${rows}`);
  if (total === ids) return ids;
  const version = quote(shardVersion);
  await session.run(
    `DELETE FROM ${rows} WHERE ${quote(shardRow)} IN (SELECT place_of FROM (
       SELECT ${quote(shardRow)} AS place_of, row_number() OVER (PARTITION BY ${quote(primaryKey)} ORDER BY
         CASE WHEN ${version} ~ '^[0-9]+$' THEN ${version}::numeric ELSE 0 END DESC, ${quote(shardRow)} DESC) AS place
       FROM ${rows}) AS places WHERE place > 1)`,
  );
  return ids;
}

/** Ids that the key of the table cannot have are ids of no row. */
export function validIds(ids: readonly string[], keyType: PostgresType): string[] {
  return ids.filter((id) => convert(id, keyType, () => undefined) !== null);
}

/**
 * Loads a shard into empty temporary tables.
 * @param options `withKeys`: also the keys of a comparison, if it has some
 */
export async function loadShard(
  session: Session,
  temporary: TemporaryTables,
  shard: Shard,
  table: Table,
  columns: readonly LoadedColumn[],
  repairs: Repairs,
  { withKeys }: { withKeys: boolean },
): Promise<LoadedShard> {
  const rows = await temporary.open('shard_rows', shardColumns(columns));
  const total = await copyRows(session, shard, 'rows', rows, table, columns, repairs);
  const keyType = columns.find(({ name }) => name === table.primaryKey)!.type;
  const loaded: LoadedShard = {
    rows,
    count: await dropDuplicates(session, rows, table, total),
    deleted: validIds(shard.deletedIds(), keyType),
  };
  if (!withKeys || !shard.hasTable('keys')) return loaded;
  const compared = keyColumns(shard, columns);
  const keys = await temporary.open('shard_keys', shardColumns(compared));
  // What a repaired value is was counted with its row.
  await copyRows(session, shard, 'keys', keys, table, compared, new Repairs());
  return { ...loaded, keys: { table: keys, columns: compared.map(({ name }) => name) } };
}
