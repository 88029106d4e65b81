import type { Session } from '../connection/session.ts';
import { waitForUnfinished } from './unfinished-commits.ts';

/**
 * A commit reaches the nodes of a cluster one after the other, this one first: for a moment the state is new, and rows
 * elsewhere are old. Locks are released after that (Citus: transaction_management.c; PostgreSQL: xact.c). So a writer takes
 * a lock before it commits, and an export that has read which rows are new waits for it before it reads them. Other readers
 * are not held up, and neither lock conflicts with that of a writer at work.
 */
export async function lockForCommit(session: Session): Promise<void> {
  if (session.isOfCluster) await session.run(lockSql(session, 'SHARE ROW EXCLUSIVE'));
}

/** Waits until the commits that can be seen here are complete on every node. */
export async function waitForCommits(session: Session): Promise<void> {
  if (!session.isOfCluster) return;
  await session.run(lockSql(session, 'ROW EXCLUSIVE'));
  await waitForUnfinished(session);
}

const lockSql = (session: Session, mode: string): string =>
  `LOCK TABLE ${session.name('_sync_meta')} IN ${mode} MODE`;
