import { createHash } from 'node:crypto';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Session } from '../connection/session.ts';
import type { LoadedColumn } from '../rows/copy-rows.ts';
import type { LoadedShard } from '../rows/load-shard.ts';
import { storedName } from '../schema/names.ts';

/** The list of shards that are staged completely: a row is written with the rows of its shard. */
export const stagedList = '_sync_staged';

/**
 * The tables of one mirror's shards are in a schema of their own, so that readers of the mirror do not see them. All are
 * UNLOGGED, the list, too: a server that crashes, or a replica that takes over, has empty ones, and then none is listed.
 */
export function stagingSchema(schema: string): string {
  return storedName(`${schema}_sync_staging`);
}

/** What a shard became when it was staged. */
export interface StagedShard {
  runId: string;
  /** The name of the shard. */
  shard: string;
  /** How many rows there are, each key once. */
  rows: number;
  columns: LoadedColumn[];
  /** How many ids of deleted rows. No table has them if there are none. */
  deleted: number;
  /** Absent if the shard has no keys of a comparison. */
  keys?: LoadedColumn[] | undefined;
  /** See `Repairs`. */
  repairs: [string, number][];
}

type Kind = 'rows' | 'keys' | 'deleted';

const digestOf = (text: string, length: number): string =>
  createHash('sha256').update(text).digest('hex').slice(0, length);

/** What the names of the tables of a run begin with. */
export const runPrefix = (runId: string): string => `${digestOf(runId, 16)}_`;

/** What all names of such tables match, as a regular expression of PostgreSQL. Nothing else in the schema is dropped. */
export const stagedPattern = '^[0-9a-f]{16}_[0-9a-f]{32}_(rows|keys|deleted)$';

/** The name of a table, the same for nothing else: shards have names of their own in each attempt. */
export function stagedName({ runId, shard }: Pick<StagedShard, 'runId' | 'shard'>, kind: Kind): string {
  return `${runPrefix(runId)}${digestOf(shard, 32)}_${kind}`;
}

const listOf = (session: Session): string => `${quote(stagingSchema(session.schema))}.${stagedList}`;

/** Whether the schema has the list. */
export async function hasStaging(session: Session): Promise<boolean> {
  const found = await session.get('SELECT to_regclass($1) AS found', [listOf(session)]);
  return found?.['found'] != null;
}

/** The names of all shards that are staged. None if the list cannot be read, which is no reason not to merge. */
export async function stagedNames(session: Session): Promise<ReadonlySet<string>> {
  let names: string[] = [];
  await session.attempt(async () => {
    if (!(await hasStaging(session))) return;
    const rows = await session.all<{ shard: string }>(
      `SELECT shard FROM ${listOf(session)} WHERE details <> ''`,
    );
    names = rows.map(({ shard }) => shard);
  });
  return new Set(names);
}

/** What these shards became, by name. */
export async function findStaged(
  session: Session,
  shards: readonly string[],
): Promise<ReadonlyMap<string, StagedShard>> {
  const rows = await session.all<{ details: string }>(
    `SELECT details FROM ${listOf(session)} WHERE shard = ANY ($1::text[])`,
    [shards],
  );
  const found = rows.map(({ details }) => JSON.parse(details) as StagedShard);
  return new Map(found.map((one) => [one.shard, one]));
}

/**
 * The tables of a staged shard, if they are such as the merge would load it.
 * @param columns those of the merge: the schema of the mirror can have changed since the shard was staged
 * @returns undefined if the merge has to load the shard
 */
export function tablesOf(
  session: Session,
  staged: StagedShard,
  columns: readonly LoadedColumn[],
): LoadedShard | undefined {
  const types = new Map(columns.map(({ name, type }) => [name, type]));
  const isSame = (one: LoadedColumn): boolean => types.get(one.name) === one.type;
  if (staged.columns.length !== columns.length || !staged.columns.every(isSame)) return undefined;
  const { keys, rows: count, deleted } = staged;
  if (keys?.every(isSame) === false) return undefined;
  const schema = quote(stagingSchema(session.schema));
  const table = (kind: Kind): string => `${schema}.${quote(stagedName(staged, kind))}`;
  return {
    rows: table('rows'),
    count,
    deleted: deleted === 0 ? [] : { table: table('deleted') },
    keys: keys && { table: table('keys'), columns: keys.map(({ name }) => name) },
  };
}
