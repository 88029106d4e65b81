import { RetriableError } from '../../../errors.ts';
import type { Session } from './session.ts';

/**
 * Keeps other writers of the mirror out until the transaction ends. The lock is one of a table of the mirror that nobody can
 * take who may only read (postgresql.org: LOCK), and it lets readers through. A lock by number would be open to every user of
 * the database. There is nothing else before the tables of the mirror are there.
 */
export async function lockForWriter(session: Session): Promise<void> {
  if (!(await hasTable(session))) {
    await session.run('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
      `dataverse mirror ${session.schema}`,
    ]);
    // Another writer may have made them meanwhile.
    if (!(await hasTable(session))) return;
  }
  await session.run(lockSql(session));
}

/** The same, where no other writer is at work. @returns whether it is so */
export async function tryLockForWriter(session: Session): Promise<boolean> {
  if (!(await hasTable(session))) return true;
  const refusal = await session.refusal(async () => void (await session.run(`${lockSql(session)} NOWAIT`)));
  if (refusal !== undefined && !(refusal instanceof RetriableError)) throw refusal;
  return refusal === undefined;
}

const lockSql = (session: Session): string =>
  `LOCK TABLE ${session.name('_sync_meta')} IN SHARE UPDATE EXCLUSIVE MODE`;

async function hasTable(session: Session): Promise<boolean> {
  const row = await session.get('SELECT to_regclass($1) AS found', [session.name('_sync_meta')]);
  return row?.['found'] != null;
}
