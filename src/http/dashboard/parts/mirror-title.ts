import type { Recent } from '../pages/page-context.ts';
import { staleTables } from './words.ts';

/** How a mirror is, in a sentence. */
export function mirrorTitle(
  { active, last, state }: Pick<Recent, 'active' | 'last' | 'state'>,
  now: Date,
): { title: string; isBad: boolean } {
  if (active !== undefined) {
    const done = active.entities.filter(({ state }) => state !== 'waiting' && state !== 'fetching').length;
    const title =
      active.entities.length === 0
        ? 'A sync is being planned'
        : `A sync is ${active.phase}: ${done} of ${active.entities.length} tables are read`;
    return { title, isBad: false };
  }
  if (last === undefined)
    return { title: state === undefined ? 'No sync yet' : 'The mirror is there', isBad: false };
  const bad = (title: string) => ({ title, isBad: true });
  // Without it nothing is known of the tables, although there were syncs.
  if (state === undefined) return bad('The state of the mirror cannot be read');
  if (last.phase !== 'complete') return bad('The last sync did not complete');
  const faults = last.entities.filter(({ error }) => error !== undefined).length;
  const stale = staleTables(state, now).length;
  if (faults === 0 && stale > 0)
    return bad(stale === 1 ? 'One table is out of date' : `${stale} tables are out of date`);
  if (faults > 0) return bad(faults === 1 ? 'One table needs attention' : `${faults} tables need attention`);
  return { title: 'The mirror is up to date', isBad: false };
}
