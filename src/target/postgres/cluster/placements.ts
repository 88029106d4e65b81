import type { Session } from '../connection/session.ts';

/**
 * Where the rows of a table are on a cluster (Citus): on the node that the sync connects to, as on any server; copies on
 * every node; or divided among the nodes by the primary key.
 */
export type Placement = 'local' | 'reference' | 'distributed';

/** By the name of the table. Tables that are not in it are local. */
export type Placements = ReadonlyMap<string, Placement>;

const none: Placements = new Map();

/**
 * Lets a transaction that writes change definitions and rows of tables on several nodes in any order: one connection to each
 * node does all of it. Call it outside of savepoints.
 */
export async function prepareCluster(session: Session): Promise<void> {
  if (!session.isOfCluster) return;
  await session.run(`SET LOCAL citus.multi_shard_modify_mode = 'sequential'`);
  await liftLimits(session);
}

/** Lets many keys come from other nodes to be compared here: the limit is that of queries of people. */
export async function liftLimits(session: Session): Promise<void> {
  if (session.isOfCluster) await session.run('SET LOCAL citus.max_intermediate_result_size = -1');
}

/** Asks each time: a transaction can change it, and a savepoint can undo that. */
export async function readPlacements(session: Session): Promise<Placements> {
  if (!session.isOfCluster) return none;
  // A table whose one part is on some node has the limits of those with many.
  const rows = await session.all<{ name: string; placement: Placement }>(
    `SELECT c.relname AS name, CASE WHEN p.partmethod = 'n' AND p.repmodel = 't' THEN 'reference' ELSE 'distributed' END
       AS placement
     FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND NOT (p.partmethod = 'n' AND p.repmodel <> 't' AND p.colocationid = 0)`,
    [session.schema],
  );
  return new Map(rows.map(({ name, placement }) => [name, placement]));
}

export async function placementOf(session: Session, table: string): Promise<Placement> {
  return (await readPlacements(session)).get(table) ?? 'local';
}
