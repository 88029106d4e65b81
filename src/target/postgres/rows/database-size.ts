import { metaNames, readMeta } from '../bookkeeping/bookkeeping-tables.ts';
import type { Session } from '../connection/session.ts';

/**
 * The size of the mirror in bytes: its tables, their indexes and what is stored beside them. On a cluster, tables on several
 * nodes are as large as they were after the run before.
 */
export async function databaseBytes(session: Session): Promise<number> {
  const isOnNodes = session.isOfCluster;
  const own = isOnNodes
    ? ' AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = c.oid)'
    : '';
  const bytes = await session.number(
    `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) AS bytes FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'm')${own}`,
    [session.schema],
  );
  return isOnNodes ? bytes + Number((await readMeta(session, metaNames.clusterBytes)) ?? 0) : bytes;
}
