import type { Table } from '../../../schema/table.ts';
import { Shard } from '../../../sqlite/shard.ts';
import type { Sqlite } from '../../../sqlite/sqlite.ts';
import { deletedAtColumn } from '../../common/mirror-table.ts';
import type { ShardToStage } from '../../mirror-target.ts';
import type { Session } from '../connection/session.ts';
import type { LoadedColumn } from '../rows/copy-rows.ts';
import { copyRows, dropDuplicates, keyColumns, shardColumns, validIds } from '../rows/load-shard.ts';
import { Repairs } from '../rows/repairs.ts';
import { holds, type PostgresType, postgresType } from '../schema/column-types.ts';
import { storedColumns } from '../schema/stored-columns.ts';
import { runPrefix, type StagedShard, stagedList, stagedName } from './staged-shards.ts';

/** Nothing but `COPY` and one reader writes to such a table, and it lives for minutes. */
const options = 'WITH (autovacuum_enabled = false)';

/** Creates the schema and its list. Call it while nothing else does. */
export async function createStaging(staging: Session): Promise<void> {
  const found = await staging.get('SELECT 1 AS one FROM pg_catalog.pg_namespace WHERE nspname = $1', [
    staging.schema,
  ]);
  // An owner of the database may have created it for a user who may not create schemas.
  if (found === undefined) await staging.run(`CREATE SCHEMA ${staging.schemaName}`);
  await staging.run(
    `CREATE UNLOGGED TABLE IF NOT EXISTS ${staging.name(stagedList)} (shard text PRIMARY KEY, run text NOT NULL, details text NOT NULL)`,
  );
}

/** The columns as the merge will have them, if the schema does not change before: a wider type stays. */
async function columnsOf(mirror: Session, table: Table): Promise<LoadedColumn[]> {
  const stored = await storedColumns(mirror, table.name);
  return table.columns
    .filter(({ name }) => name !== deletedAtColumn)
    .map((column) => {
      const [has, type] = [stored.get(column.name), postgresType(column)];
      return {
        name: column.name,
        type: has !== undefined && holds(has, type) ? (has as PostgresType) : type,
      };
    });
}

/**
 * Loads a shard into tables of its own and lists it, in one transaction.
 * @param staging the schema of such tables
 * @param mirror the schema of the mirror, on the same connection
 */
export async function stageShard(
  sqlite: Sqlite,
  staging: Session,
  mirror: Session,
  { runId, table, name, bytes }: ShardToStage,
): Promise<void> {
  const shard = Shard.open(sqlite, bytes);
  try {
    const columns = await columnsOf(mirror, table);
    const key = { runId, shard: name };
    const repairs = new Repairs();
    const load = async (
      from: 'rows' | 'keys',
      of: readonly LoadedColumn[],
      into: Repairs,
    ): Promise<number> => {
      const target = staging.name(stagedName(key, from));
      await staging.run(`CREATE UNLOGGED TABLE ${target} (${shardColumns(of)}) ${options}`);
      // Frozen rows are not written again by who reads them first.
      const copied = await copyRows(staging, shard, from, target, table, of, into, ' WITH (FREEZE)');
      return from === 'rows' ? dropDuplicates(staging, target, table, copied) : copied;
    };
    const rows = await load('rows', columns, repairs);
    const keys = shard.hasTable('keys') ? keyColumns(shard, columns) : undefined;
    // What a repaired value is was counted with its row.
    if (keys !== undefined) await load('keys', keys, new Repairs());
    const keyType = columns.find((column) => column.name === table.primaryKey)!.type;
    const deleted = validIds(shard.deletedIds(), keyType);
    if (deleted.length > 0) {
      const target = staging.name(stagedName(key, 'deleted'));
      await staging.run(`CREATE UNLOGGED TABLE ${target} (id ${keyType}) ${options}`);
      await staging.run(`INSERT INTO ${target} SELECT unnest($1::text[])::${keyType}`, [deleted]);
    }
    const details: StagedShard = {
      ...key,
      ...{ rows, columns, deleted: deleted.length, keys, repairs: repairs.counts },
    };
    await staging.run(`INSERT INTO ${staging.name(stagedList)} (shard, run, details) VALUES ($1, $2, $3)`, [
      name,
      runPrefix(runId),
      JSON.stringify(details),
    ]);
  } finally {
    shard.close();
  }
}
