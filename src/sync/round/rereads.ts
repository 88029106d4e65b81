import type { State } from '../../target/state.ts';
import type { RoundPlan } from '../documents/plan.ts';
import { asksToReread } from '../documents/run.ts';
import { joinReasons, onRequest, otherOrganization } from '../strategies/reread-reasons.ts';
import type { RoundMerge } from './round-merge.ts';

/**
 * Asks that all rows of a table are read again: in the next round of this run, or else in the next run. A table that the
 * mirror does not hold is read in full anyway.
 * @param reason for people: what follows "all rows are read again: "
 */
export function rereadNext({ rereads }: RoundMerge, name: string, reason: string): void {
  rereads.set(name, joinReasons([rereads.get(name), reason])!);
}

/**
 * Notes what a plan reads again in the state, before its tables are merged. The merge of each table deletes the note, so
 * it stays for tables that failed or wait, and the next run reads them again even if this one dies.
 */
export function notePlanned(entities: State['entities'], plan: RoundPlan): void {
  for (const [name, { reread }] of Object.entries(plan.entities)) {
    const known = entities[name];
    if (reread !== undefined && known !== undefined) {
      entities[name] = { ...known, reread: joinReasons([known.reread, reread]) };
    }
  }
}

/**
 * Notes in the state that all tables are to be read again, if the plan of round 1 is made from another organisation than
 * the state is: also tables that are not configured now, or could not be planned. Later the state no longer tells that
 * their rows are of another one.
 */
export function noteOtherOrganization(state: State, { round, organizationId: now }: RoundPlan): void {
  const { organizationId: before, entities } = state;
  if (round !== 1 || before === undefined || now === undefined || before === now) return;
  for (const [name, known] of Object.entries(entities)) {
    entities[name] = { ...known, reread: joinReasons([otherOrganization, known.reread]) };
  }
}

/**
 * Notes the requests of this merge in the state, and leaves in `round.rereads` those that the next round is to meet: of
 * tables that this run can read, and each table once in a run. The others wait in the state for the next run.
 */
export async function settleRereads(round: RoundMerge): Promise<void> {
  const { mirror, rereads, postponed, catalog } = round;
  if (round.reread !== undefined) await addRequested(round);
  const { entities } = mirror.state;
  for (const [name, reason] of rereads) {
    const known = entities[name];
    if (known !== undefined) entities[name] = { ...known, reread: joinReasons([known.reread, reason]) };
  }
  rereads.clear();
  const wanted = Object.entries(entities).filter(([, { reread }]) => reread !== undefined);
  if (wanted.length === 0) return;
  const { planned, reread: again, failed } = await rereadsOfRun(round);
  for (const [name, { reread }] of wanted) {
    const isReadable = planned.has(name) && catalog.tables[name] !== undefined;
    // A table that waits has its own read first.
    if (isReadable && !again.has(name) && !failed.has(name) && !postponed.includes(name))
      rereads.set(name, reread!);
  }
}

/** Adds what people asked for since the run was planned. */
async function addRequested(round: RoundMerge): Promise<void> {
  const { planned, reread } = await rereadsOfRun(round);
  for (const name of planned) {
    if (asksToReread(round.reread, name) && !reread.has(name)) rereadNext(round, name, onRequest);
  }
}

/** The tables of this run: all that were planned, those that are read again, and those that could not be read. */
export async function rereadsOfRun({
  services,
  plan,
  reports,
}: RoundMerge): Promise<Record<'planned' | 'reread' | 'failed', Set<string>>> {
  const { documents } = services;
  const planned = new Set<string>();
  const again = new Set<string>();
  const failed = new Set(reports.filter(({ state }) => state === 'failed').map(({ name }) => name));
  for (let n = 1; n <= plan.round; n++) {
    const { entities = {} } = (await documents.plan(plan.runId, n)) ?? {};
    for (const [name, { reread }] of Object.entries(entities)) {
      planned.add(name);
      if (reread !== undefined) again.add(name);
    }
    const merged = n < plan.round ? await documents.merged(plan.runId, n) : undefined;
    for (const { name, state } of merged?.entities ?? []) if (state === 'failed') failed.add(name);
  }
  return { planned, reread: again, failed };
}
