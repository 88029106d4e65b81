import { SkipTableError } from '../../../errors.ts';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import type { Session } from '../connection/session.ts';
import type { PostgresType } from '../schema/column-types.ts';
import { convert, copyField, type ShardValue } from './convert.ts';
import type { Repairs } from './repairs.ts';
import type { TemporaryTables } from './temporary-tables.ts';

/** The version of a row in a shard, and its place there, in the order of the read. */
export const shardVersion = '_shard_version';
export const shardRow = '_shard_row';

/** Rows that are taken from a shard at once. */
const batchRows = 2_000;
/** Bytes that go to the server at once, at least. */
const chunkBytes = 65_536;

export interface LoadedColumn {
  name: string;
  type: PostgresType;
}

/**
 * Loads a table of a shard into an empty temporary table: the columns, the version and the place of each row.
 * @returns the name of the temporary table, quoted
 */
export async function loadShard(
  session: Session,
  temporary: TemporaryTables,
  shard: { db: SqliteDatabase; table: string },
  table: Table,
  columns: readonly LoadedColumn[],
  repairs: Repairs,
): Promise<string> {
  const definitions = columns.map((column) => `${quote(column.name)} ${column.type}`);
  definitions.push(`${quote(shardVersion)} text`, `${quote(shardRow)} bigint`);
  const name = await temporary.open(`shard_${shard.table}`, definitions.join(', '));
  const names = [...columns.map((column) => column.name), shardVersion, shardRow].map(quote);
  let rows = 0;
  const count = function* () {
    for (const chunk of chunksOf(shard.db, shard.table, table, columns, repairs)) {
      rows += chunk.rows;
      yield chunk.bytes;
    }
  };
  await session.copy(`COPY ${name} (${names.join(', ')}) FROM STDIN`, count());
  if (rows > 0) await session.run(`ANALYZE ${name}`);
  return name;
}

function* chunksOf(
  db: SqliteDatabase,
  from: string,
  table: Table,
  columns: readonly LoadedColumn[],
  repairs: Repairs,
): Generator<{ bytes: Buffer; rows: number }> {
  const sql = `SELECT rowid AS r, ${[...selectList(columns), 'CAST(_version AS TEXT) AS v'].join(', ')}
    FROM ${quote(from)} WHERE rowid > ? ORDER BY rowid LIMIT ${batchRows}`;
  let text = '';
  let rows = 0;
  for (let last = 0; ; ) {
    const batch = db.all<Record<string, ShardValue>>(sql, [last]);
    for (const row of batch) {
      text += `${lineOf(row, table, columns, repairs)}\n`;
      rows += 1;
      if (text.length < chunkBytes) continue;
      yield { bytes: Buffer.from(text), rows };
      text = '';
      rows = 0;
    }
    if (batch.length < batchRows) break;
    last = Number(batch.at(-1)!['r']);
  }
  if (rows > 0) yield { bytes: Buffer.from(text), rows };
}

/** Integers as texts, because JavaScript's numbers are not exact. */
function selectList(columns: readonly LoadedColumn[]): string[] {
  return columns.map(({ name, type }, index) => {
    const isAsItIs = type === 'double precision' || type === 'bytea';
    return `${isAsItIs ? quote(name) : `CAST(${quote(name)} AS TEXT)`} AS c${index}`;
  });
}

function lineOf(
  row: Record<string, ShardValue>,
  { logicalName, primaryKey }: Table,
  columns: readonly LoadedColumn[],
  repairs: Repairs,
): string {
  const fields = columns.map(({ name, type }, index) => {
    const value = row[`c${index}`] ?? null;
    const text = convert(value, type, (repair) => repairs.add(name, repair));
    if (name === primaryKey && text === null) throw wrongKey(logicalName, name, type);
    return copyField(text);
  });
  fields.push(copyField(row['v'] as string | null), String(row['r']));
  return fields.join('\t');
}

function wrongKey(object: string, column: string, type: PostgresType): SkipTableError {
  return new SkipTableError(
    `Table ${object} cannot be mirrored: a row has a key in ${column} that PostgreSQL cannot store as ${type}.`,
    { object, hint: `Remove ${object} from entities.json, or correct the row in Dataverse.` },
  );
}
