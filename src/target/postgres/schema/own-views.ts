import type { Session } from '../connection/session.ts';

/** Who may do what with a view, beside its owner. The role is quoted. */
export interface Grant {
  role: string;
  privilege: string;
}

export async function grantsOf(session: Session, view: string): Promise<Grant[]> {
  const rows = await session.all<{ role: string; privilege: string }>(
    `SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role, a.privilege_type AS privilege
     FROM pg_catalog.pg_class c, aclexplode(c.relacl) a WHERE c.oid = to_regclass($1) AND a.grantee <> c.relowner`,
    [session.name(view)],
  );
  return rows.map(({ role, privilege }) => ({ role, privilege }));
}

/**
 * Drops views of the mirror, which it creates again with the labels, for the same readers. A view of somebody else that uses
 * one of them stops it.
 * @param names of views that may be there
 */
export async function dropViews(session: Session, names: readonly string[]): Promise<void> {
  const list = session.name('_sync_views');
  const sql = `SELECT name FROM ${list} WHERE name = ANY ($1::text[]) AND sql <> ''`;
  for (const { name } of await session.all<{ name: string }>(sql, [names])) {
    const grants = JSON.stringify(await grantsOf(session, name));
    await session.run(`UPDATE ${list} SET sql = '', grants = $2 WHERE name = $1`, [name, grants]);
    await session.define(`DROP VIEW IF EXISTS ${session.name(name)}`);
  }
}

/**
 * Drops the views of the mirror that use a table, or these columns of it, and so stand in the way of changing them.
 * @param columns @default all of the table
 */
export async function dropViewsOf(
  session: Session,
  table: string,
  columns?: readonly string[],
): Promise<void> {
  const found = await session.all<{ name: string }>(
    `SELECT DISTINCT v.relname AS name FROM pg_catalog.pg_depend d
     JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_catalog.pg_rewrite'::regclass
     JOIN pg_catalog.pg_class v ON v.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
     LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
     WHERE d.refobjid = to_regclass($1) AND n.nspname = $2 AND v.relkind = 'v'
       AND ($3::text[] IS NULL OR a.attname = ANY ($3::text[]))`,
    [session.name(table), session.schema, columns ?? null],
  );
  await dropViews(
    session,
    found.map(({ name }) => name),
  );
}
