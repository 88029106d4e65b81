import { RetriableError } from '../../../errors.ts';
import type { Session } from '../connection/session.ts';

/**
 * A table that moves gets its rows anew. A transaction that sees one state of the mirror does not see rows that were written
 * after it began (postgresql.org: Caveats of MVCC): it would find the table empty. So what reads for an export or another
 * mirror keeps tables where they are. Call it before the first query of the transaction, which decides what it sees.
 */
export async function keepPlaces(session: Session): Promise<void> {
  const refusal = await session.refusal(async () => void (await session.run(lockSql(session, 'ROW SHARE'))));
  // Otherwise there is no mirror, which the caller finds out.
  if (refusal instanceof RetriableError) throw refusal;
}

/** Waits for those who read so, but not for long. */
export function lockPlaces(session: Session): Promise<void> {
  return session.define(lockSql(session, 'EXCLUSIVE'));
}

/** Writers lock `_sync_meta`, which exports wait for. They write into this table without waiting for readers. */
const lockSql = (session: Session, mode: string): string =>
  `LOCK TABLE ${session.name('_sync_deleted')} IN ${mode} MODE`;
