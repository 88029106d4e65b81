import { RetriableError } from '../../../errors.ts';
import type { Session } from '../connection/session.ts';

/** Citus looks for commits to complete each minute (citus.recover_2pc_interval). */
const waitSeconds = 75;

/**
 * The names of what each node has prepared and not committed, of transactions that are committed here. This node forgets
 * transactions within a minute once they are complete.
 */
const unfinishedSql = `
  SELECT n.nodename AS node, n.success FROM pg_catalog.run_command_on_workers(
    'SELECT coalesce(json_agg(gid), ''[]'') FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()') n
  WHERE CASE WHEN n.success THEN EXISTS (
    SELECT 1 FROM pg_catalog.pg_dist_transaction t WHERE n.result::jsonb ? t.gid) ELSE true END`;

/**
 * Waits until each node of a cluster has completed the commits that can be seen here. A node that was lost between the two
 * phases of a commit has the rows of before, without a sign of it, until it has recovered. A merge would compare with those,
 * and an export would take them for the new ones.
 * @throws RetriableError if a node does not answer, or takes too long
 */
export async function waitForUnfinished(session: Session): Promise<void> {
  if (!session.isOfCluster) return;
  const some = await session.get('SELECT 1 AS one FROM pg_catalog.pg_dist_transaction LIMIT 1');
  if (some === undefined) return;
  for (let second = 0; ; second++) {
    const [found] = await session.all<{ node: string; success: string }>(unfinishedSql);
    if (found === undefined) return;
    if (found.success !== 't' || second === waitSeconds) throw unfinished(session, found.node);
    // Another mirror of the database may be about to commit.
    await session.run(`SELECT pg_sleep(${second === 0 ? 0.1 : 1})`);
  }
}

function unfinished({ schema }: Session, node: string): RetriableError {
  return new RetriableError(`The node ${node} of the cluster has not completed the last commit.`, {
    operation: 'work on',
    object: schema,
    hint: 'Start the node. Citus completes the commit within a minute of that.',
  });
}
