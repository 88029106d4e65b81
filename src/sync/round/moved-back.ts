import type { TableState } from '../../target/state.ts';
import { deltaVersionOf, knownDeltaVersion } from '../strategies/delta-version.ts';
import { type FetchedTable, finalStart } from '../strategies/fetched-table.ts';
import { strategies } from '../strategies/registry.ts';
import { isOfMovedBack, movedBack } from '../strategies/reread-reasons.ts';
import { rereadNext, rereadsOfRun } from './rereads.ts';
import type { RoundMerge } from './round-merge.ts';

/*
 * An administrator can restore, copy or reset an environment: rows and versions go back, deleted rows return, later ones
 * vanish, and delta links and watermarks lie ahead. Two things prove it, because row versions come from one counter of
 * the database that only grows:
 * - a delta token with a lower version than the table's token before;
 * - a row with a lower version than the mirror has.
 *
 * Nothing else does. The greatest version of a table falls when that row is deleted, and a row that is new to the mirror
 * can be old, because access to it was granted. A token may be below the versions of rows: a transaction that is still
 * open holds it back. So tokens are compared with tokens, and rows with themselves.
 *
 * A read from a replica that lags behind an earlier read looks the same. Dataverse documents no such replica for the Web
 * API; if there was one, tables would be read once more than needed, and nothing would be lost.
 */

/** What in a table's delta link shows that the source has moved back, for people; undefined if nothing does. */
export function tokenSign(known: TableState | undefined, fetched: FetchedTable): string | undefined {
  if (fetched.failure !== undefined) return undefined;
  const [before, now] = [knownDeltaVersion(known), deltaVersionOf(fetched)];
  if (before === undefined || now === undefined || BigInt(now) >= BigInt(before)) return undefined;
  return `the delta token of ${fetched.name} fell from version ${before} to ${now}`;
}

/** Whether the table is read again for this very reason, so that its signs are no news. */
export function isKnownToHaveMoved({ plan: { reread } }: FetchedTable): boolean {
  return isOfMovedBack(reread);
}

/**
 * If tables of this round show that the source has moved back in time, has every table of the mirror read again, also
 * those that show no sign: most of them cannot, and a restore concerns the whole environment. Tables that are not
 * configured now keep the request until they are.
 * @param signs of the tables of this round
 * @returns what was noticed, for the log
 */
export async function rereadIfMovedBack(
  round: RoundMerge,
  signs: readonly string[],
): Promise<string | undefined> {
  if (signs.length === 0) return undefined;
  const { reread } = await rereadsOfRun(round);
  // Tables that the strategy reads in full in each run are read again by the next one anyway.
  const isFull = (fetched: FetchedTable): boolean => {
    const { strategy, read } = finalStart(fetched);
    return strategy === 'full' && strategies.full.isComplete(read);
  };
  const fetched = round.tables.filter(({ failure }) => failure === undefined);
  const full = new Set(fetched.filter(isFull).map(({ name }) => name));
  const { entities } = round.mirror.state;
  for (const [name, known] of Object.entries(entities)) {
    if (!reread.has(name) && !full.has(name)) rereadNext(round, name, movedBack);
    // A version of a link that was given up lies ahead of every later token.
    else if (known.strategy !== 'delta') entities[name] = { ...known, deltaVersion: undefined };
  }
  return signs.join(', ');
}

/**
 * What was noticed, for the log, if an earlier attempt at this merge saved its notes and died before its report: the
 * signs are gone, because the state has the lower versions already.
 * @param round after its requests are settled
 */
export async function noticedBefore(round: RoundMerge): Promise<string | undefined> {
  const { services, plan, rereads } = round;
  const names = [...rereads].filter(([, reason]) => isOfMovedBack(reason)).map(([name]) => name);
  if (names.length === 0) return undefined;
  // A table that waited is read again in a later round than that which told of it.
  for (let n = 1; n < plan.round; n++) {
    if ((await services.documents.merged(plan.runId, n))?.movedBack !== undefined) return undefined;
  }
  return `an attempt at this merge that did not finish noticed it, and left ${names.join(', ')} to be read again`;
}
