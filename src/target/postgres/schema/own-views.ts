import type { Session } from '../connection/session.ts';

/**
 * Drops views of the mirror, which it creates again with the labels. A view of somebody else that uses one of them stops it.
 * @param names @default all
 */
export async function dropViews(session: Session, names?: readonly string[]): Promise<void> {
  const list = session.name('_sync_views');
  const which = names === undefined ? '' : ' WHERE name = ANY ($1::text[])';
  const found = await session.all<{ name: string }>(
    `DELETE FROM ${list}${which} RETURNING name`,
    names === undefined ? [] : [names],
  );
  for (const { name } of found) await session.run(`DROP VIEW IF EXISTS ${session.name(name)}`);
}
