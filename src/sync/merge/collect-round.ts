import type { Failure } from '../../errors.ts';
import { addDigests, emptyDigest } from '../../sqlite/row-digest.ts';
import type { RoundPlan, TablePlan } from '../documents/plan.ts';
import { isComplete } from '../documents/plan.ts';
import type { TableReport } from '../documents/report.ts';
import type { SyncServices } from '../documents/services.ts';
import type { ReadFigures, Slice, SliceStart } from '../documents/slice.ts';

/** What a round fetched of one entity. */
export interface Fetched {
  name: string;
  plan: TablePlan;
  slices: Slice[];
  failure?: Failure;
}

/** Everything that a round fetched; undefined while an entity has neither ended nor failed. */
export async function collectRound(services: SyncServices, plan: RoundPlan): Promise<Fetched[] | undefined> {
  const collected: Fetched[] = [];
  for (const [name, tablePlan] of Object.entries(plan.entities)) {
    const slices = await services.documents.slices(plan.runId, plan.round, name);
    const ended = slices.length > 0 && slices.at(-1)!.next === undefined;
    const failure = ended ? undefined : await services.documents.failure(plan.runId, plan.round, name);
    if (!ended && failure === undefined) return undefined;
    collected.push({ name, plan: tablePlan, slices, ...(failure === undefined ? {} : { failure }) });
  }
  return collected;
}

/** How the entity's last read began: the planned one, or what change tracking fell back to. */
export function finalStart(fetched: Fetched): SliceStart {
  return fetched.slices.at(-1)!.start;
}

/** The slices of the entity's last read; earlier ones belong to a read that was refused on the way. */
export function finalSlices(fetched: Fetched): Slice[] {
  const { read } = finalStart(fetched);
  return fetched.slices.filter(({ start }) => start.read.kind === read.kind);
}

/** Whether the last read returned every row of the table. */
export function readEverything(fetched: Fetched): boolean {
  return isComplete(finalStart(fetched).read);
}

export function addFigures(figures: readonly ReadFigures[]): ReadFigures {
  const sum = { rowsRead: 0, pages: 0, requests: 0, retries: 0, bytes: 0, seconds: 0 };
  for (const one of figures) {
    for (const name of Object.keys(sum) as (keyof ReadFigures)[]) sum[name] += one[name];
  }
  return sum;
}

export function rowsDigest(fetched: Fetched): string {
  return finalSlices(fetched).reduce((sum, slice) => addDigests(sum, slice.digest), emptyDigest());
}

export function keysDigest(fetched: Fetched): string {
  return finalSlices(fetched).reduce((sum, slice) => addDigests(sum, slice.keysDigest), emptyDigest());
}

/** Whether the last read ended with a comparison of all keys. */
export function sweptAll(fetched: Fetched): boolean {
  return fetched.plan.sweep && finalStart(fetched).read.kind === 'modifiedon';
}

/** The report of an entity before anything is known of its merge. */
export function emptyReport(fetched: Fetched): TableReport {
  const last = fetched.slices.at(-1);
  return {
    name: fetched.name,
    strategy: last?.start.strategy ?? fetched.plan.strategy,
    state: fetched.failure === undefined ? 'fetched' : 'failed',
    reason: last?.start.reason ?? fetched.plan.reason,
    ...addFigures(fetched.slices),
    added: 0,
    updated: 0,
    deleted: 0,
    unchanged: 0,
    ...fetched.failure,
  };
}
