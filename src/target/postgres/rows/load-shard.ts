import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { Shard } from '../../../sqlite/shard.ts';
import type { Session } from '../connection/session.ts';
import { CopyRows, type LoadedColumn } from './copy-rows.ts';
import type { Repairs } from './repairs.ts';
import type { TemporaryTables } from './temporary-tables.ts';

/** The version of a row in a shard, and its place there, in the order of the read. */
export const shardVersion = '_shard_version';
export const shardRow = '_shard_row';

/**
 * Loads a table of a shard into an empty temporary table: the columns, the version and the place of each row.
 * @param from the table of the shard: `rows` or `keys`
 * @returns the name of the temporary table, quoted
 */
export async function loadShard(
  session: Session,
  temporary: TemporaryTables,
  shard: Shard,
  from: string,
  table: Table,
  columns: readonly LoadedColumn[],
  repairs: Repairs,
): Promise<string> {
  const definitions = columns.map((column) => `${quote(column.name)} ${column.type}`);
  definitions.push(`${quote(shardVersion)} text`, `${quote(shardRow)} bigint`);
  const name = await temporary.open(`shard_${from}`, definitions.join(', '));
  const names = [...columns.map((column) => column.name), shardVersion, shardRow].map(quote);
  const rows = new CopyRows(shard, from, table, columns, repairs);
  await session.copy(`COPY ${name} (${names.join(', ')}) FROM STDIN`, rows.chunks());
  return name;
}
