import type { Session } from '../connection/session.ts';
import { tryLockForWriter } from '../connection/writer-lock.ts';
import { runPrefix, stagedList, stagedPattern } from './staged-shards.ts';

/** Each table is some locks until the transaction ends, of which the server has a limited number. */
const tablesAtOnce = 100;

/**
 * Drops a few of the tables that were staged for a run, or for all others, also those that a process left that died. Not while
 * a writer works on the mirror, who may be about to read them.
 * @param mirror the schema of the mirror, on the same connection
 * @returns whether there may be more
 */
export async function dropStaged(
  staging: Session,
  mirror: Session,
  runId: string,
  whose: 'own' | 'others',
): Promise<boolean> {
  const of = [runPrefix(runId), whose === 'own'] as const;
  const tables = await staging.all<{ name: string }>(
    `SELECT c.relname AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname ~ $2 AND starts_with(c.relname, $3) = $4
     LIMIT ${tablesAtOnce}`,
    [staging.schema, stagedPattern, ...of],
  );
  if (tables.length === 0) return false;
  if (!(await tryLockForWriter(mirror))) return false;
  await staging.run(`DELETE FROM ${staging.name(stagedList)} WHERE (run = $1) = $2`, of);
  await staging.run(`DROP TABLE ${tables.map(({ name }) => staging.name(name)).join(', ')}`);
  return tables.length === tablesAtOnce;
}
