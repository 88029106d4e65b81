import type { Session } from '../connection/session.ts';

/** The types of the columns that a table has, by name, as PostgreSQL calls them; empty if there is no such table. */
export async function storedColumns(session: Session, table: string): Promise<Map<string, string>> {
  const rows = await session.all<{ name: string; type: string }>(
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped`,
    [session.schema, table],
  );
  return new Map(rows.map(({ name, type }) => [name, type]));
}

/** Whether the schema has such a table. */
export async function hasTable(session: Session, table: string): Promise<boolean> {
  return (await storedColumns(session, table)).size > 0;
}
