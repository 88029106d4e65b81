import type { Session } from '../connection/session.ts';

/** The size of the mirror in bytes: its tables, their indexes and what is stored beside them. */
export function databaseBytes(session: Session): Promise<number> {
  return session.number(
    `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) AS bytes FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'm')`,
    [session.schema],
  );
}
